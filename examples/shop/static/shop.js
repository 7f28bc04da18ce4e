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
