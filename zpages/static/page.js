// Keeps the page live; without this file it is loaded again every five seconds.

const page = document.getElementById("page");
const status = document.getElementById("live");

// ------------------------------------------------------- what has changed

/** Puts an element that is already there somewhere else, without a loss of focus where the browser can. */
const move = (parent, child, before) => (parent.moveBefore ?? parent.insertBefore).call(parent, child, before);

const isAlike = (one, other) => one?.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");

/** Brings an element or a text to what a fresh one says. It stays itself: a reader may be inside. */
function refresh(node, fresh) {
  if (node.isEqualNode(fresh)) return;
  if (node.nodeType !== Node.ELEMENT_NODE) {
    node.data = fresh.data;
    return;
  }
  for (const { name } of [...node.attributes]) {
    // Which <details> are open is for the reader.
    if (!fresh.hasAttribute(name) && name !== "open") node.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  refreshInside(node, fresh);
}

/** Children with an id keep their element wherever they go, others as long as nothing changes but text and attributes. */
function refreshInside(parent, fresh) {
  const wanted = new Set([...fresh.children].map((child) => child.id));
  const known = new Map();
  for (const child of [...parent.children]) {
    if (!child.id) continue;
    if (wanted.has(child.id)) known.set(child.id, child);
    else child.remove();
  }
  let at = parent.firstChild;
  for (const next of [...fresh.childNodes]) {
    const same = next.id ? known.get(next.id) : isAlike(at, next) && at;
    if (!same) {
      parent.insertBefore(next, at);
      continue;
    }
    if (same === at) at = at.nextSibling;
    else move(parent, same, at);
    refresh(same, next);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// ------------------------------------------------------------------- live

/** Something comes each second. After this long without, nobody is there, whatever the connection says. */
const PATIENCE = 5_000;

let source = null;
let silence = null;
const again = status.querySelector("a");

function say(state, text) {
  status.dataset.state = state;
  if (status.textContent !== text) status.textContent = text;
}

function connect() {
  if (source || document.hidden) return;
  source = new EventSource(page.dataset.live);
  source.addEventListener("page", (event) => {
    refreshInside(page, new DOMParser().parseFromString(event.data, "text/html").body);
    say("live", "Live");
    clearTimeout(silence);
    silence = setTimeout(() => say("off", "Not live right now. Nothing comes any more."), PATIENCE);
  });
  source.addEventListener("error", () => {
    clearTimeout(silence);
    say("off", "Not live right now. Trying to reconnect.");
    // After a lost connection the browser does so by itself. After a refusal it gives up: too many are watching, or nobody is
    // there. Those who were refused together come again 10 to 20 seconds later, each at another time.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      status.replaceChildren("Not live right now. Trying again in a while. ", again);
      setTimeout(connect, 10_000 * (1 + Math.random()));
    }
  });
}

// A browser allows few connections to one host, and who looks costs something: tabs that nobody looks at give theirs back.
document.addEventListener("visibilitychange", () => {
  clearTimeout(silence);
  if (document.hidden) {
    source?.close();
    source = null;
  } else {
    connect();
  }
});
connect();
