// A tus server: node tus.js FOLDER PORT. Uploads are files in the folder, and go on after a restart.
const { Server } = require("@tus/server");
const { FileStore } = require("@tus/file-store");
const [folder, port] = process.argv.slice(2);
new Server({ path: "/files", datastore: new FileStore({ directory: folder }) })
  .listen({ host: "127.0.0.1", port: Number(port) }, () => console.log("ready"));
