// Makes the pages quicker and livelier; each of them works without this file.

const calm = matchMedia("(prefers-reduced-motion: reduce)");

function animate(element, frames, duration) {
  if (!calm.matches) element.animate(frames, { duration, easing: "cubic-bezier(.2, .8, .2, 1)" });
}

/** The element `<name class="…">` around text and other elements. */
function make(name, className, ...children) {
  const element = document.createElement(name);
  element.className = className;
  element.append(...children);
  return element;
}

// ---------------------------------------------------------------- ballot

const pop = [{ scale: 1 }, { scale: 1.45, rotate: "-10deg" }, { scale: 1 }];
const shake = [0, -6, 6, -4, 4, 0].map((x) => ({ translate: `${x}px` }));

/** A new name for a vote: 128 random bits. (`crypto.randomUUID` is there by HTTPS only.) */
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Resolves when the vote is counted; rejects with a sentence for the reader when it is not. */
async function vote(choice) {
  // The colons stay as they are, so that the server's log shows the shortcode.
  const query = encodeURIComponent(choice).replaceAll("%3A", ":");
  const headers = { "Idempotency-Key": randomKey() };
  const signal = AbortSignal.timeout(15_000);
  const send = () => fetch(`/api/vote?choice=${query}`, { method: "POST", headers, signal });
  // Without an answer nobody knows whether it was counted. Under the same key it can be sent again, and is counted once.
  const response = await send().catch(send)
    .catch(() => { throw new Error("The vote did not get through: there is no answer from the server. Please try again."); });
  if (response.ok) return;
  const body = await response.json().catch(() => null);
  throw new Error(body?.error ?? `The vote failed: the server answered with HTTP status ${response.status}.`);
}

function enhanceBallot(form, result) {
  const counted = new Map();

  function show(kind, ...children) {
    const note = make("p", `note ${kind}`, ...children);
    result.replaceChildren(note);
    animate(note, [{ opacity: 0, translate: "0 .75rem" }, { opacity: 1, translate: "0" }], 250);
  }

  form.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (!button) return;
    event.preventDefault();
    const choice = button.value;
    const emoji = button.querySelector(".emoji");
    try {
      await vote(choice);
      const times = (counted.get(choice) ?? 0) + 1;
      counted.set(choice, times);
      button.dataset.picked = times === 1 ? "✓" : times;
      const picture = make("span", "emoji", emoji.textContent);
      const link = make("a", "", "See the leaderboard");
      link.href = "/leaderboard";
      show("good", "You picked ", picture, " ", make("code", "", choice), times === 1 ? " " : ` ${times} times `, link);
      animate(emoji, pop, 450);
    } catch (error) {
      show("bad", error.message);
      animate(button, shake, 350);
    }
  });
}

// ----------------------------------------------------------- leaderboard

/** Takes over the texts and the bar of a row, keeping its elements: a reader may be inside. */
function refresh(row, fresh) {
  const texts = fresh.querySelectorAll("[data-text]");
  row.querySelectorAll("[data-text]").forEach((element, i) => {
    if (element.textContent === texts[i].textContent) return;
    element.textContent = texts[i].textContent;
    if (element.tagName === "B") animate(row.querySelector(".emoji"), [{ scale: 1.35 }, { scale: 1 }], 600);
  });
  row.querySelector("rect")?.setAttribute("width", fresh.querySelector("rect").getAttribute("width"));
}

/** Brings a list to the order and content of a fresh one; rows that stay are moved, not replaced. */
function reconcile(list, fresh) {
  const rows = new Map([...list.children].map((row) => [row.dataset.key, row]));
  [...fresh.children].forEach((next, i) => {
    const row = rows.get(next.dataset.key) ?? next;
    if (row !== next) refresh(row, next);
    rows.delete(next.dataset.key);
    if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
  });
  rows.forEach((row) => row.remove());
}

const places = (rows) => new Map(rows.map((row) => [row, row.getBoundingClientRect()]));

function update(board, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const lists = board.querySelectorAll("[role=list]");
  const freshLists = fresh.querySelectorAll("[role=list]");
  if (lists.length === 0 || lists.length !== freshLists.length) {
    board.replaceChildren(...fresh.childNodes);
    return;
  }

  const rows = [...board.querySelectorAll("[data-key]")];
  const before = places(rows);
  rows.forEach((row) => row.getAnimations().forEach((animation) => animation.cancel()));
  refresh(board.querySelector(".sheet-head"), fresh.querySelector(".sheet-head"));
  lists.forEach((list, i) => reconcile(list, freshLists[i]));
  places(rows.filter((row) => row.isConnected)).forEach((now, row) => {
    const x = before.get(row).x - now.x;
    const y = before.get(row).y - now.y;
    if (x || y) animate(row, [{ translate: `${x}px ${y}px` }, { translate: "0 0" }], 500);
  });
}

const ballot = document.getElementById("ballot");
if (ballot) enhanceBallot(ballot, document.getElementById("result"));
const board = document.getElementById("board");
if (board) {
  follow(board.dataset.live, document.getElementById("live"), {
    board: (html) => update(board, html),
    unavailable: (why) => why,
  });
}
