// Shows every new order, the newest first, and at most twenty.
const feed = document.getElementById("feed");
const source = new EventSource("/events");

source.addEventListener("order", (event) => {
  const order = JSON.parse(event.data);
  const item = document.createElement("li");
  item.textContent = `${order.id.slice(0, 8)} ${order.state}`;
  feed.prepend(item);
  while (feed.children.length > 20) feed.lastChild.remove();
});

// Talk at the counter: what is said here comes back with what all the others say.
const talk = document.getElementById("talk");
const say = document.getElementById("say");
const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/talk`);

socket.addEventListener("message", (event) => {
  const item = document.createElement("li");
  item.textContent = event.data;
  talk.prepend(item);
  while (talk.children.length > 20) talk.lastChild.remove();
});

say.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState === WebSocket.OPEN && say.text.value) socket.send(say.text.value);
  say.reset();
});
