// Fills the heap, or aborts.
function fillOrders() {
  const orders = [];
  for (;;) orders.push(new Array(1000).fill(Math.random()));
}

function stop() {
  process.abort();
}

({ heap: fillOrders, abort: stop })[process.argv[2]]();
