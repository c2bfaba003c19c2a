const element = (id) => document.getElementById(id);
const source = new EventSource(path + "/events");
const print = (event) => { element("output").append(event.data + "\n"); };
source.onmessage = print;
source.addEventListener("log", print);
source.addEventListener("progress", (event) => {
  const progress = JSON.parse(event.data);
  element("progress").hidden = false;
  element("progress").value = progress.percent;
  element("text").textContent = progress.done + "/" + progress.total + " " + progress.text;
});
const show = (event) => {
  const job = JSON.parse(event.data);
  element("state").textContent = job.state;
  element("error").textContent = job.error ?? "";
};
source.addEventListener("state", show);
source.addEventListener("end", (event) => {
  show(event);
  source.close();
  element("cancel")?.remove();
});
element("cancel")?.addEventListener("click", () => fetch(path, { method: "DELETE" }));
