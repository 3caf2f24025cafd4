//! Images on their way to whoever pulls them, through a real registry on this machine.

use std::fs;
use std::process::Command;

use emojivoto_e2e::release::{SERVICES, VERSION, arch, files, made, named};
use emojivoto_e2e::{Program, free_ports, names, refusal, run, tool};
use emojivoto_testkit::{eventually, http};
use serde_json::{Value, json};

use crate::{docker, empty, temporary};

#[tokio::test]
async fn images_are_pushed_for_all_platforms_and_pulled_for_one() {
    let [port] = free_ports();
    let registry = start(port);
    eventually("the registry answers", async || {
        let answer = http::send(::http::Request::get(format!("http://localhost:{port}/v2/")), "");
        answer.await.ok()
    })
    .await;

    // The machine for the other platform is missing here: its images say that they are for it, but hold the same binaries.
    let machines = temporary("machines");
    let other = if arch() == "amd64" { "arm64" } else { "amd64" };
    let platform = format!("PLATFORM=linux-{other}");
    made("release-images", &machines.join(other), |make| run(make.arg(&platform)));
    for name in names(files()) {
        fs::create_dir_all(machines.join(arch())).expect("it is writable");
        fs::copy(files().join(&name), machines.join(arch()).join(&name)).expect("it is writable");
    }
    let out = temporary("gathered");
    let from = format!("FROM={}", machines.display());
    made("release-gather", &out, |make| run(make.arg(&from)));

    let images = format!("localhost:{port}/emojivoto");
    let images_argument = format!("IMAGES={images}");
    let said = made("release-push", &out, |make| refusal(make.arg(&images_argument)));
    assert!(said.contains("does not name localhost"), "the manifests name others: {said}");
    made("release-manifests", &out, |make| run(make.arg(&images_argument)));
    let bots = [arch(), other].map(|arch| format!("{}.oci.tar", named("emojivoto-vote-bot", arch)));
    let aside = empty("aside");
    for bot in &bots {
        fs::rename(out.join(bot), aside.join(bot)).expect("it is there");
    }
    made("release-push", &out, |make| refusal(make.arg(&images_argument)));
    let catalog = http::get(&format!("http://localhost:{port}/v2/_catalog")).await.json();
    assert_eq!(catalog, json!({"repositories": []}), "all images, or none");
    for bot in &bots {
        fs::rename(aside.join(bot), out.join(bot)).expect("it is there");
    }
    let push = || made("release-push", &out, |make| run(make.arg(&images_argument)));
    let pushed = push();
    for service in SERVICES {
        let name = format!("emojivoto-{service}");
        let url = format!("http://localhost:{port}/v2/emojivoto/{name}/manifests/{VERSION}");
        let request =
            ::http::Request::get(url).header("accept", "application/vnd.oci.image.index.v1+json");
        let answer = http::send(request, "").await.expect("an answer");
        let index: Value = answer.json();
        let manifests = index["manifests"].as_array().expect("a list of manifests");
        let mut platforms: Vec<_> = manifests.iter().map(|one| one["platform"].clone()).collect();
        platforms.sort_by_key(Value::to_string);
        assert_eq!(
            platforms,
            [
                json!({"os": "linux", "architecture": "amd64"}),
                json!({"os": "linux", "architecture": "arm64"})
            ]
        );
        let digest = answer.header("docker-content-digest");
        let (_, hex) = digest.split_once(':').expect("a digest");
        assert!(pushed.contains(&format!("{hex}  {images}/{name}\n")), "{digest}: {pushed}");
    }
    let tried = made("release-try", &out, |make| run(make.arg(&images_argument)));
    for service in SERVICES {
        assert!(tried.contains(&format!("emojivoto-{service} {VERSION}\n")), "{tried}");
        run(docker().args(["image", "rm", &format!("{images}/emojivoto-{service}:{VERSION}")]));
    }

    assert_eq!(
        push(),
        pushed,
        "the same can be pushed again, should something after it have failed"
    );
    for name in names(&out).iter().filter(|name| name.ends_with(&format!("{other}.oci.tar"))) {
        fs::remove_file(out.join(name)).expect("it is there");
    }
    let said = made("release-push", &out, |make| refusal(make.arg(&images_argument)));
    assert!(said.contains("is published already"), "but nothing else: {said}");
    drop(registry);
    let said = made("release-push", &out, |make| refusal(make.arg(&images_argument)));
    assert!(said.contains("connection refused"), "{said}");
}

fn start(port: u16) -> Program {
    let folder = Program::directory("registry");
    let config = folder.join("config.yml");
    let text =
        format!("version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n");
    fs::write(&config, text).expect("it is writable");
    Program::start(Command::new(tool("docker-registry")).arg("serve").arg(config), folder)
}

#[test]
fn machines_that_differ_in_what_they_have_in_common_make_no_release() {
    let machines = empty("differing-machines");
    for (machine, text) in [("one", "a: 1"), ("two", "a: 2")] {
        fs::create_dir(machines.join(machine)).expect("it is writable");
        fs::write(machines.join(machine).join("emojivoto.yml"), text).expect("it is writable");
    }
    let from = format!("FROM={}", machines.display());
    let out = temporary("not-gathered");
    let said = made("release-gather", &out, |make| refusal(make.arg(&from)));
    assert!(said.contains("emojivoto.yml differ"), "{said}");
    assert!(!out.join("SHA256SUMS").exists());
    for from in ["FROM=", "FROM=target/nowhere"] {
        let said = made("release-gather", &out, |make| refusal(make.arg(from)));
        assert!(said.contains("FROM has to be the folder"), "{from}: {said}");
    }
}
