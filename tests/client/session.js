// Debugs as an editor does, through VS Code's own client, and prints what it was answered as JSON.
// The argument is JSON: {"command": [...]} to start an adapter or {"port": N} to connect to one; "request" is attach or
// launch; "evaluate" a list of [expression, context], "refused" one of requests that have to fail, and "asked" one of
// [request, arguments], in which $thread, $frame, $pc and $source stand for those of the crash, and
// $value for what the last expression has in it. "hasty" says that it has
// configured all before it opens anything, as Helix does.
'use strict';
const { spawn } = require('child_process');
const { DebugClient } = require('@vscode/debugadapter-testsupport');

async function open(wish, client) {
    if (wish.port) {
        await client.start(wish.port);
        return null;
    }
    const [program, ...words] = wish.command;
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    client.connect(child.stdout, child.stdin);
    return new Promise((resolve) => child.on('spawn', () => resolve(child)));
}

async function debug(client, wish) {
    const stopped = new Promise((resolve) => client.once('stopped', resolve));
    const initialized = new Promise((resolve) => client.once('initialized', resolve));
    const said = [];
    client.on('output', (event) => said.push(event.body.output));
    const lines = { linesStartAt1: true, columnsStartAt1: true, pathFormat: 'path' };
    const initialize = { adapterID: 'corebox', clientID: 'vscode', supportsVariablePaging: true, ...lines };
    const found = { capabilities: (await client.initializeRequest(initialize)).body };
    await initialized;
    const done = wish.hasty && client.configurationDoneRequest();
    const opened = client.send(wish.request, wish.arguments);
    await client.send('setBreakpoints', { source: { path: '/nowhere/x.c' }, breakpoints: [{ line: 1 }] });
    await (done || client.configurationDoneRequest());
    found.opened = (await opened).command;
    found.stopped = (await stopped).body;
    const threadId = found.stopped.threadId;
    found.exception = await client.send('exceptionInfo', { threadId }).then(
        (answer) => answer.body,
        (error) => error.message,
    );
    found.threads = (await client.threadsRequest()).body.threads;
    const frames = (await client.stackTraceRequest({ threadId })).body.stackFrames;
    found.frames = frames;
    found.scopes = (await client.scopesRequest({ frameId: frames[0].id })).body.scopes;
    found.variables = {};
    for (const scope of found.scopes) {
        const answer = await client.variablesRequest({ variablesReference: scope.variablesReference });
        found.variables[scope.name] = answer.body.variables.map(({ name, value }) => [name, value]);
    }
    found.evaluated = [];
    let children = 0;
    for (const [expression, context] of wish.evaluate || []) {
        const answer = await client.evaluateRequest({ expression, context, frameId: frames[0].id });
        found.evaluated.push(answer.body.result);
        children = answer.body.variablesReference;
    }
    const memoryReference = frames[0].instructionPointerReference;
    found.instructions = (await client.send('disassemble', { memoryReference, instructionCount: 4 })).body.instructions;
    found.asked = [];
    for (const [command, given] of wish.asked || []) {
        const source = frames[0].source && frames[0].source.sourceReference;
        const known = { $thread: threadId, $frame: frames[0].id, $pc: memoryReference, $source: source, $value: children };
        const put = ([name, value]) => [name, value in known ? known[value] : value];
        const answer = client.send(command, Object.fromEntries(Object.entries(given).map(put)));
        found.asked.push(await answer.then((done) => done.body, (error) => error.message));
    }
    found.refused = {};
    for (const command of wish.refused || []) {
        found.refused[command] = await client.send(command, { threadId }).then(
            () => null,
            (error) => error.message,
        );
    }
    await client.disconnectRequest();
    found.said = said.join('');
    return found;
}

async function main(wish) {
    const client = new DebugClient('node', '', 'gdb');
    const child = await open(wish, client);
    const ended = child && new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal || code)));
    const found = await debug(client, wish);
    found.status = await ended;
    client.stopAdapter();
    console.log(JSON.stringify(found));
}

main(JSON.parse(process.argv[2])).catch((error) => {
    console.error(error);
    process.exit(1);
});
