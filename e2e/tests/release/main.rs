//! A release, tried as whoever downloads it would: from its files alone, in empty folders. What its manifests, dashboard and rules say is
//! held by the tests of `manifests`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use emojivoto_e2e::release::{
    IMAGES, REVISION, SERVICES, SOURCE, VERSION, arch, file, files, load, made, named,
};
use emojivoto_e2e::{at_the_root, make, names, refusal, root, run, tool};
use emojivoto_testkit::Binary;
use emojivoto_testkit::http;
use serde_json::{Value, json};

mod registry;
mod sboms;

/// The archives of binaries, and what they hold.
const ARCHIVES: [(&str, &[&str]); 3] = [
    ("emojivoto", &["emojivoto"]),
    ("emojivoto-services", &["emojivoto-emoji-svc", "emojivoto-voting-svc", "emojivoto-web"]),
    ("emojivoto-vote-bot", &["emojivoto-vote-bot"]),
];

const LICENSES: [&str; 4] = ["CRATES.txt", "GLIBC.txt", "LICENSE", "RUST-STANDARD-LIBRARY.html"];

#[test]
fn it_is_complete_and_its_checksums_are_right() {
    let named = |of: &str| named(of, arch());
    let mut expected: Vec<_> = ["emojivoto.yml", "emojivoto-linkerd.yml", "emojivoto-redis.yml"]
        .into_iter()
        .chain(["emojivoto-dashboard.json", "emojivoto-rules.yml", "SHA256SUMS"])
        .map(str::to_owned)
        .collect();
    for (archive, binaries) in ARCHIVES {
        expected.push(format!("{}.tar.gz", named(archive)));
        expected.extend(binaries.iter().map(|binary| format!("{}.cdx.json", named(binary))));
    }
    expected.extend(
        SERVICES.map(|service| format!("{}.oci.tar", named(&format!("emojivoto-{service}")))),
    );
    expected.sort();
    assert_eq!(names(files()), expected);

    let docs = fs::read_to_string(root().join("docs/releasing.md")).expect("it is there");
    for file in &expected {
        let name = file.replace(VERSION, "VERSION").replace(arch(), "ARCH");
        assert!(docs.contains(&format!("`{name}`")), "docs/releasing.md lacks {name}");
    }

    let checked = run(Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(files()));
    assert_eq!(checked.lines().count(), expected.len() - 1, "{checked}");
}

#[tokio::test]
async fn the_suite_runs_from_its_archive() {
    let folder = unpacked("emojivoto");
    let binary = folder.join("emojivoto");
    let any = ["--web-port=0", "--emoji-port=0", "--voting-port=0", "--prom-port=0", "--no-bot"];
    let mut suite = Binary::new(path(&binary)).args(&any).start();
    let web = suite.address("WEB_PORT");
    for (choice, status) in [(":joy:", 200), (":doughnut:", 500)] {
        let answer = http::get(&format!("http://{web}/api/vote?choice={choice}")).await;
        assert_eq!(answer.status, status, "{choice}");
    }
    let leaders = http::get(&format!("http://{web}/api/leaderboard")).await.json();
    assert_eq!(leaders, json!([{"shortcode": ":joy:", "unicode": "😂", "votes": "1"}]));
    suite.signal("TERM");
    let (code, _, errors) = suite.end();
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn archives_hold_binaries_that_need_nothing_and_their_licences() {
    for (archive, binaries) in ARCHIVES {
        let folder = unpacked(archive);
        let sboms = binaries.iter().map(|binary| format!("{binary}.cdx.json"));
        let mut expected: Vec<_> = binaries.iter().map(|binary| (*binary).to_owned()).collect();
        expected.extend(sboms);
        expected.push("licenses".to_owned());
        expected.sort();
        assert_eq!(names(&folder), expected, "{archive}");
        assert_licences(&folder.join("licenses"));
        for binary in binaries {
            says_its_version(Command::new(folder.join(binary)).env_clear(), binary);
            // A static one names no loader (the ELF header's PT_INTERP), and asks for no library.
            let headers = run(Command::new(tool("readelf")).arg("-ld").arg(folder.join(binary)));
            assert!(headers.contains("LOAD"), "{headers}");
            for asks in ["INTERP", "NEEDED"] {
                assert!(!headers.contains(asks), "{binary}: {headers}");
            }
        }
    }
}

#[test]
fn images_hold_a_binary_its_sbom_and_licences_and_nothing_else() {
    for service in SERVICES {
        let binary = format!("emojivoto-{service}");
        let image = image(service);
        let mut expected: BTreeSet<_> =
            LICENSES.iter().map(|file| format!("licenses/{file}")).collect();
        expected.insert(format!("usr/local/bin/{binary}"));
        expected.insert(format!("sbom/{binary}.cdx.json"));
        if service == "web" {
            expected.insert("usr/local/bin/emojivoto-vote-bot".to_owned());
        }
        let mut found = BTreeSet::new();
        below(&image, Path::new(""), &mut found);
        assert_eq!(found, expected, "{service}");
        assert_licences(&image.join("licenses"));
        let sbom = fs::read(image.join(format!("sbom/{binary}.cdx.json"))).expect("it is there");
        assert!(
            sbom == fs::read(file(&binary, "cdx.json")).expect("it is there"),
            "{service}: another SBOM"
        );
    }
}

#[test]
fn images_load_run_and_say_where_they_come_from() {
    let manifest = fs::read_to_string(files().join("emojivoto.yml")).expect("it is there");
    let mut named: Vec<_> = manifest
        .lines()
        .filter_map(|line| Some(line.split_once("image: ")?.1.to_owned()))
        .collect();
    named.sort();
    for file in ["emojivoto.yml", "emojivoto-redis.yml"] {
        let mut validate = Command::new(tool("kubernetes-validate"));
        run(validate.args(["--strict", "-k", "1.37"]).arg(files().join(file)));
    }
    let mut loaded = SERVICES.map(load);
    loaded.sort();
    assert_eq!(named, loaded, "what a cluster pulls");

    for service in SERVICES {
        let binary = format!("emojivoto-{service}");
        let image = format!("{IMAGES}/{binary}:{VERSION}");
        let described = run(docker().args(["image", "inspect", &image]));
        let mut described: Value = serde_json::from_str(&described).expect("docker prints JSON");
        let described = described[0].take();
        assert_eq!(described["Created"], "2026-01-02T03:04:05Z", "{service}");
        assert_eq!(described["Architecture"], arch(), "{service}");
        let config = &described["Config"];
        let label = |name: &str| &config["Labels"][format!("org.opencontainers.image.{name}")];
        assert_eq!(*label("title"), binary);
        assert_eq!(*label("version"), VERSION);
        assert_eq!(*label("revision"), REVISION);
        assert_eq!(*label("source"), SOURCE);
        assert_eq!(*label("licenses"), "Apache-2.0");
        assert_eq!(*label("created"), "2026-01-02T03:04:05Z");
        assert_eq!(config["User"], "65532:65532", "{service}");
        assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", binary, "healthcheck"]));

        says_its_version(docker().args(["run", "--rm", &image]), &binary);
        // As `command: ["emojivoto-web"]` in a pod, which leaves the entry point out, and in Compose, which does not.
        answers_to_the_name(&binary, &image);
        if service == "web" {
            // As the original's does, so that manifests which start the bot from there still do.
            answers_to_the_name("emojivoto-vote-bot", &image);
        }
    }
}

fn answers_to_the_name(binary: &str, image: &str) {
    says_its_version(docker().args(["run", "--rm", "--entrypoint", binary, image]), binary);
    says_its_version(docker().args(["run", "--rm", image, binary]), binary);
}

#[test]
fn the_same_comes_out_whoever_packs_it_and_when() {
    let again = temporary("again");
    made("release", &again, |make| {
        let mut other = at_the_root(&tool("sh"));
        other.args(["-c", "umask 077 && exec \"$0\" \"$@\""]).arg(make.get_program());
        run(other.args(make.get_args()))
    });
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).expect("it is there");
    assert_eq!(sums(&again), sums(files()));
}

#[test]
fn an_image_that_is_too_large_is_refused() {
    let folder = temporary("too-large");
    let said = made("release-images", &folder, |make| refusal(make.env("LARGEST", "1000000")));
    assert!(said.contains("at most 1000000 bytes were wanted"), "{said}");
}

#[test]
fn it_is_made_from_a_commit_and_knows_where_that_is_published() {
    let folder = temporary("refused");
    let out = format!("OUT={}", folder.display());
    let images = format!("IMAGES={IMAGES}");
    let said = refusal(make("release").args([&out, "IMAGES=Registry"]));
    assert!(said.contains("IMAGES=registry.example/emojivoto"), "{said}");
    for source in [
        "SOURCE=",
        "SOURCE=https://",
        "SOURCE=git@code.example:emojivoto",
        "SOURCE=https://somebody:secret@code.example/emojivoto",
        "SOURCE=https://code.example/emojivoto/",
        "SOURCE=https://code.example/emoji'voto",
    ] {
        let said = refusal(make("release").args([&out, &images, source]));
        assert!(said.contains("SOURCE=https://code.example/emojivoto"), "{source}: {said}");
    }
    let source = format!("SOURCE={SOURCE}");
    for revision in ["REVISION=", "REVISION=0123abc-dirty"] {
        let said = refusal(make("release").args([&out, &images, &source, revision]));
        assert!(said.contains("a release is made from a commit"), "{revision}: {said}");
    }
    let said = refusal(make("release-check").args([&out, &images, &source]));
    assert!(said.contains("make release first"), "{said}");
    assert!(!folder.exists(), "nothing is written");
}

#[test]
fn its_notes_are_the_part_of_the_changelog() {
    let notes = |changelog: &str| {
        let folder = temporary("notes");
        fs::create_dir_all(folder.join("release")).expect("it is writable");
        fs::copy(root().join("release/notes"), folder.join("release/notes")).expect("it is there");
        fs::write(folder.join("CHANGELOG.md"), changelog).expect("it is writable");
        let mut notes = Command::new(folder.join("release/notes"));
        notes.env("VERSION", "1.2.3").env("SOURCE", SOURCE);
        notes
    };
    let before = "# Changelog\n\n## [1.3.0] - 2026-02-01\n\n### Added\n\n- Later.\n\n";
    let after = "\n## [1.2.2] - 2025-12-01\n\n- Earlier.\n";
    let part = "## [1.2.3] - 2026-01-31\n\n### Changed\n\n- [This](docs/this.md#here), not [that](https://that.example/).\n";
    let said = run(&mut notes(&format!("{before}{part}{after}")));
    let install = format!("    kubectl apply -f {SOURCE}/releases/download/v1.2.3/emojivoto.yml\n");
    assert!(said.contains(&install), "{said}");
    let change = format!(
        "\n\n### Changed\n\n- [This]({SOURCE}/blob/v1.2.3/docs/this.md#here), not [that](https://that.example/).\n"
    );
    assert!(said.ends_with(&change), "{said}");
    assert!(!said.contains("Later") && !said.contains("Earlier"), "{said}");

    for unreleased in [
        "## [1.2.3] - unreleased\n\n- This.\n",
        "## [1.2.30] - 2026-01-31\n\n- That.\n",
        "## [1.2.3] - 2026-99-99\n\n- This.\n",
    ] {
        let said = refusal(&mut notes(&format!("{before}{unreleased}{after}")));
        assert!(said.contains("CHANGELOG.md has no part '## [1.2.3] - 2026-01-31'"), "{said}");
    }
    for tag in ["TAG=", &format!("TAG={VERSION}"), "TAG=v0.0.1"] {
        let said = refusal(make("release-notes").args([tag, &format!("SOURCE={SOURCE}")]));
        assert!(said.contains(&format!("the tag has to be v{VERSION}")), "{tag}: {said}");
    }
}

fn docker() -> Command {
    Command::new(tool("docker"))
}

/// A folder that is not there.
fn temporary(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("it is ours");
    }
    folder
}

/// A folder with nothing in it.
fn empty(name: &str) -> PathBuf {
    let folder = temporary(name);
    fs::create_dir_all(&folder).expect("it is writable");
    folder
}

/// What an archive of binaries holds: one folder, of its own name.
fn unpacked(archive: &str) -> PathBuf {
    let name = named(archive, arch());
    // Each test has one of its own: they run side by side.
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let folder = empty(&format!("{archive}-{test}"));
    unpack(&file(archive, "tar.gz"), &folder);
    assert_eq!(names(&folder), [name.as_str()]);
    folder.join(name)
}

/// The file system of an image, from its archive: an OCI layout whose one manifest names the layers.
fn image(service: &str) -> PathBuf {
    let layout = empty(&format!("{service}-layout"));
    unpack(&file(&format!("emojivoto-{service}"), "oci.tar"), &layout);
    let json = |file: &Path| -> Value {
        let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    };
    assert_eq!(json(&layout.join("oci-layout")), json!({"imageLayoutVersion": "1.0.0"}));
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        layout.join("blobs").join(digest.replace(':', "/"))
    };
    let index = json(&layout.join("index.json"));
    let manifests = index["manifests"].as_array().expect("a list of manifests");
    assert_eq!(manifests.len(), 1, "{index}");
    assert_eq!(manifests[0]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let manifest = json(&blob(&manifests[0]));
    let files = empty(&format!("{service}-files"));
    for layer in manifest["layers"].as_array().expect("a list of layers") {
        unpack(&blob(layer), &files);
    }
    files
}

fn unpack(archive: &Path, folder: &Path) {
    run(Command::new(tool("tar")).arg("-xf").arg(archive).arg("-C").arg(folder));
}

/// What is there of each of those whose work is in the binaries.
fn assert_licences(folder: &Path) {
    assert_eq!(names(folder), LICENSES);
    let ours = fs::read(root().join("LICENSE")).expect("it is there");
    assert!(fs::read(folder.join("LICENSE")).expect("it is there") == ours);
    let words = [
        ("CRATES.txt", ["tokio 1.", "ring 0.17.", "ISC License", "webpki-roots 1."]),
        (
            "GLIBC.txt",
            ["GNU C Library", "Free Software Foundation", "LESSER GENERAL PUBLIC", "2.1"],
        ),
        ("RUST-STANDARD-LIBRARY.html", ["hashbrown", "Standard Library", "MIT", "Apache-2.0"]),
    ];
    for (file, words) in words {
        let text = fs::read_to_string(folder.join(file)).expect("it is there");
        for word in words {
            assert!(text.contains(word), "{file}: {word}");
        }
    }
}

fn says_its_version(command: &mut Command, binary: &str) {
    assert_eq!(run(command.arg("--version")), format!("{binary} {VERSION}\n"), "{command:?}");
}

/// Files below a folder, by their paths in it.
fn below(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for name in names(&root.join(folder)) {
        let inner = folder.join(name);
        if fs::symlink_metadata(root.join(&inner)).expect("it is there").is_dir() {
            below(root, &inner, found);
        } else {
            found.insert(path(&inner).to_owned());
        }
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
