-- Neovim runs what corebox ide printed and says what it shows. CONFIGURATION is the file with that.
-- In nvim-dap's place stands what its documentation says of it: adapters, providers and run.
local shown = {}
local function say(...) table.insert(shown, string.format(...)) end

local function debug(adapter, config)
  local waiting, answers, rest, seq = {}, {}, "", 0
  local function heard(_, data)
    rest = rest .. table.concat(data, "\n")
    while true do
      local head, length, body = rest:match("^(Content%-Length: (%d+)\r\n\r\n)(.*)$")
      if not head or #body < tonumber(length) then return end
      local message = vim.fn.json_decode(body:sub(1, tonumber(length)))
      rest = body:sub(tonumber(length) + 1)
      answers[message.event or message.request_seq] = message
    end
  end
  local job = vim.fn.jobstart({ adapter.command, unpack(adapter.args) }, { on_stdout = heard })
  local function send(command, arguments)
    seq = seq + 1
    local body = vim.fn.json_encode({ seq = seq, type = "request", command = command, arguments = arguments })
    vim.fn.chansend(job, "Content-Length: " .. #body .. "\r\n\r\n" .. body)
    return seq
  end
  local function wait(key)
    local limit = adapter.options.initialize_timeout_sec * 1000
    assert(vim.wait(limit, function() return answers[key] ~= nil end, 20), "no answer: " .. key)
    return answers[key].body
  end
  local patience = wait(send("initialize", { adapterID = config.type })) and adapter.options.initialize_timeout_sec
  say("waits for %d seconds", patience)
  send(config.request, config)
  wait("initialized")
  send("configurationDone", {})
  local stopped = wait("stopped")
  say("stopped: %s: %s", stopped.text, stopped.description)
  local stack = wait(send("stackTrace", { threadId = stopped.threadId }))
  local top = stack.stackFrames[1]
  vim.cmd("edit " .. top.source.path)
  say("at %s:%d: %s", vim.fn.expand("%:t"), top.line, vim.trim(vim.fn.getline(top.line)))
  send("disconnect", {})
  say("ended %d", vim.fn.jobwait({ job }, 30000)[1])
end

local dap = { adapters = {}, providers = { configs = {} } }
function dap.run(config)
  dap.adapters[config.type](function(adapter) debug(adapter, config) end, config)
end
package.preload.dap = function() return dap end

dofile(os.getenv("CONFIGURATION"))
for name, list in pairs(dap.providers.configs) do say("listed: %s, %d", name, #list(0)) end
assert(vim.bo.filetype == "")
vim.cmd("Corebox")
io.stdout:write(table.concat(shown, "\n") .. "\n")
vim.cmd("qall!")
