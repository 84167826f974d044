Error.stackTraceLimit = 200;
const die = () => { require("fs").writeSync(2, new Error().stack + "\n"); process.abort(); };
function countdown(left) {
  if (left === 0) die();
  return countdown(left - 1) + 1;
}
console.log(countdown(12));
