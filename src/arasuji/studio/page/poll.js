// Asks again and again while something goes on and the page is seen. `work` says whether it goes on.

export function polled(work, seconds) {
  let timer = 0;
  let active = false;
  let going = false;
  let again = false;

  async function turn() {
    clearTimeout(timer);
    again = going; // what has changed meanwhile is asked for after this turn
    if (going || !active) return;
    going = true;
    let goesOn = true;
    try {
      goesOn = await work();
    } finally {
      going = false;
      if (again) turn();
      else if (goesOn && active && !document.hidden) timer = setTimeout(turn, 1000 * seconds);
    }
  }

  const seen = () => document.hidden || turn();
  return {
    now: turn,
    start() {
      active = true;
      document.addEventListener("visibilitychange", seen);
      turn();
    },
    stop() {
      active = false;
      document.removeEventListener("visibilitychange", seen);
      clearTimeout(timer);
    },
  };
}
