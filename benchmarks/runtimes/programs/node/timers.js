Error.stackTraceLimit = 200;
const die = () => { require("fs").writeSync(2, new Error().stack + "\n"); process.abort(); };
const { EventEmitter } = require("events");
const shop = new EventEmitter();
shop.on("order", function onOrder(number) {
  process.nextTick(afterOrder, number);
});
function afterOrder(number) {
  die(number);
}
setTimeout(function open() {
  setImmediate(() => shop.emit("order", 1));
}, 1);
