-- Starts the real Temporal server on configurations that may be wrong, several at once, and gives back what it logged.
--
--   start.configuration(tls, { worker = true })   the text of a configuration: `tls` is YAML, the value of global.tls
--   start.run { { directory =, name =, text =, words = }, … }
--
-- Each server is watched until its log has `words`, or until it ends; then it is killed. What was seen is put into the
-- case: `log`, and `seen` (whether the words are there).

local server = require "spec.support.server"

local start = {}

-- How many at once: the machine of CI has two cores, and each start is mostly a burst of work.
local AT_ONCE = 3

local rest = [[
log: { stdout: true, level: info }
persistence:
  defaultStore: default
  visibilityStore: visibility
  numHistoryShards: 1
  datastores:
    default: &sqlite
      sql:
        pluginName: sqlite
        databaseName: default
        connectAddr: localhost
        connectProtocol: tcp
        connectAttributes: { mode: memory, cache: private }
        maxConns: 1
        maxIdleConns: 1
    visibility: *sqlite
services:
  frontend: { rpc: { grpcPort: $1, membershipPort: $2, bindOnLocalHost: true } }
  matching: { rpc: { grpcPort: $3, membershipPort: $4, bindOnLocalHost: true } }
  history: { rpc: { grpcPort: $5, membershipPort: $6, bindOnLocalHost: true } }
$worker
clusterMetadata:
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active: { enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: "localhost:$1" }
dcRedirectionPolicy: { policy: noop }
global:
  membership: { maxJoinDuration: 30s, broadcastAddress: "127.0.0.1" }
]]

local worker = "  worker: { rpc: { grpcPort: $7, membershipPort: $8, bindOnLocalHost: true } }"

-- The text, and the port of the frontend. `options.tls` false leaves global.tls out.
function start.configuration(tls, options)
  options = options or {}
  local ports = server.free_ports(8)
  local text = rest:gsub("%$worker\n", options.worker and worker .. "\n" or ""):gsub("%$(%d)", function(digit)
    return tostring(ports[tonumber(digit)])
  end)
  if tls then
    text = text .. "  tls:\n" .. tls
  end
  return text .. (options.more or ""), ports[1]
end

local script = [[
cd '%s' || exit 1
{
  '%s' %s --allow-no-auth start %s >'%s.log' 2>&1 </dev/null &
  echo $! >'%s.pid'
  wait $!
  echo $? >'%s.exit'
} 2>/dev/null &
i=0
while [ ! -e '%s.exit' ] && [ $i -lt 300 ]; do
  grep -qF -e '%s' '%s.log' 2>/dev/null && break
  i=$((i + 1)); sleep 0.2
done
kill -9 "$(cat '%s.pid')" 2>/dev/null
wait
]]

-- In most of the log quotes are escaped.
local function escaped(words)
  return (words:gsub('"', '\\"'))
end

local function command(case, binary)
  local services = "--service frontend --service history --service matching"
  if case.worker then
    services = services .. " --service worker"
  end
  local name = case.name
  return script:format(case.directory, binary, case.arguments or ("--config-file '%s.yaml'"):format(name), services,
    name, name, name, name, (case.words:match '^[^"]*':gsub("'", "'\\''")), name, name)
end

function start.run(cases)
  local binary = assert(server.counterpart "server")
  local running = {}
  local function finish(job)
    job.handle:close()
    local file = assert(io.open(("%s/%s.log"):format(job.case.directory, job.case.name)))
    job.case.log = file:read "a"
    file:close()
    job.case.seen = job.case.log:find(job.case.words, 1, true) ~= nil
      or job.case.log:find(escaped(job.case.words), 1, true) ~= nil
  end
  for _, case in ipairs(cases) do
    if case.text then
      local file = assert(io.open(("%s/%s.yaml"):format(case.directory, case.name), "w"))
      file:write(case.text)
      file:close()
    end
    running[#running + 1] = { case = case, handle = assert(io.popen(command(case, binary))) }
    if #running == AT_ONCE then
      finish(table.remove(running, 1))
    end
  end
  for _, job in ipairs(running) do
    finish(job)
  end
end

return start
