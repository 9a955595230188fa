// Lets the search work where the pages are opened from the disk: browsers start no Worker from file://, so there its
// script runs in a hidden frame. The theme's search looks for the name `IFrameWorker`.
class IFrameWorker extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    document.body.append(frame);
    this.inside = frame.contentWindow;
    const page = frame.contentDocument;
    page.open();
    page.write("<body>");
    page.close();

    const load = (source) =>
      new Promise((done) => {
        const script = page.createElement("script");
        script.src = source;
        script.onload = done;
        page.body.append(script);
      });
    this.inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
    this.inside.importScripts = (...sources) => sources.reduce((before, next) => before.then(() => load(next)), Promise.resolve());
    this.ready = load(url);
  }

  postMessage(data) {
    this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
  }
}

if (location.protocol === "file:") {
  window.IFrameWorker = IFrameWorker;
  window.Worker = IFrameWorker;
}
