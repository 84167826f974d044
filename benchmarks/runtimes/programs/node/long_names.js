Error.stackTraceLimit = 200;
const die = () => { require("fs").writeSync(2, new Error().stack + "\n"); process.abort(); };
const registry = {
  theAbstractSingletonProxyFactoryOfThePurchaseOrderProcessingDepartment() {
    return this["a name with spaces and ümläute"]();
  },
  "a name with spaces and ümläute": function () {
    return this.computed_7();
  },
  [`computed_${3 + 4}`]() {
    return eval("(function inEval() { return die(); })()");
  },
};
registry.theAbstractSingletonProxyFactoryOfThePurchaseOrderProcessingDepartment();
