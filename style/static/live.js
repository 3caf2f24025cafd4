// Goes before the script of every page that is live.

/**
 * Follows the events at an address while somebody looks at the page, and says in `status` whether it is live. Each of
 * `events` takes the data of those with its name, and may return why the page is not live all the same. After so many
 * milliseconds without any, nobody is there, whatever the connection says.
 */
function follow(url, status, events, patience) {
  let source = null;
  let silence = null;
  const again = status.querySelector("a");

  function say(state, text) {
    status.dataset.state = state;
    if (status.textContent !== text) status.textContent = text;
  }

  function wait() {
    clearTimeout(silence);
    if (patience) silence = setTimeout(() => say("off", "Not live right now. Nothing comes any more."), patience);
  }

  function connect() {
    if (source || document.hidden) return;
    source = new EventSource(url);
    for (const [name, take] of Object.entries(events)) {
      source.addEventListener(name, (event) => {
        const why = take(event.data);
        say(why ? "off" : "live", why ? `Not live right now. ${why}` : "Live");
        wait();
      });
    }
    source.addEventListener("error", () => {
      clearTimeout(silence);
      say("off", "Not live right now. Trying to reconnect.");
      // After a lost connection the browser does so by itself. After a refusal it gives up: too many are watching, or nobody
      // is there. Those who were refused together come again 10 to 20 seconds later, each at another time.
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
}

