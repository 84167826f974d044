Error.stackTraceLimit = 200;
const die = () => { require("fs").writeSync(2, new Error().stack + "\n"); process.abort(); };
const parse = (text) =>
  JSON.parse(text, (key, value) => {
    return key === "x" ? text.replace(/x/, replacer) : value;
  });
function replacer() {
  return die();
}
const checked = new Proxy(
  {},
  {
    get(target, name) {
      return parse(name);
    },
  },
);
Reflect.apply(() => checked['{"x": 1}'], null, []);
