--- What the server refuses in its configuration before it looks at a file (validateRootTLS in
-- common/rpc/encryption/tls_factory.go), in its order and with its words.
-- @module tcpki.server.validate
-- @local

local sorted = require "tcpki.sorted"

local EMPTY = "CA cannot be empty string"

local function blank(text)
  return not text:find "%S"
end

local function both(add, place, section, one, other, word)
  if #section[one] > 0 and #section[other] > 0 then
    local files = ({ certFile = "CertFile", keyFile = "KeyFile", clientCaFiles = "ClientCAFiles",
      rootCaFiles = "RootCAFiles" })[one]
    add("file_and_data", place .. "." .. one,
      ("cannot specify %s and %s at the same time"):format(files, word), { name = one, other = other })
  end
end

local function items(add, place, section, name, prefix)
  for i, item in ipairs(section[name]) do
    if blank(item) then
      add("empty_item", ("%s.%s[%d]"):format(place, name, i), prefix .. EMPTY, { count = i })
    end
  end
end

local function check_server(add, place, section)
  both(add, place, section, "certFile", "certData", "CertData")
  both(add, place, section, "keyFile", "keyData", "KeyData")
  items(add, place, section, "clientCaData", "invalid ServerTLS.ClientCAData: ")
  items(add, place, section, "clientCaFiles", "invalid ServerTLS.ClientCAFiles: ")
  both(add, place, section, "clientCaFiles", "clientCaData", "ClientCAData")
end

local function check_client(add, place, section)
  items(add, place, section, "rootCaData", "invalid ClientTLS.RootCAData: ")
  items(add, place, section, "rootCaFiles", "invalid ClientTLS.RootCAFiles: ")
  both(add, place, section, "rootCaFiles", "rootCaData", "RootCAData")
end

local function check_group(add, place, group)
  check_server(add, place .. ".server", group.server)
  check_client(add, place .. ".client", group.client)
  for _, host in ipairs(sorted(group.hostOverrides)) do
    local where = ("%s.hostOverrides.%s"):format(place, host)
    if blank(host) then
      add("host_name_empty", where, "host name cannot be empty string")
    end
    check_server(add, where, group.hostOverrides[host])
  end
end

local function check_worker(add, worker)
  both(add, "systemWorker", worker, "certFile", "certData", "CertData")
  both(add, "systemWorker", worker, "keyFile", "keyData", "KeyData")
  check_client(add, "systemWorker.client", worker.client)
end

-- Nobody looks at these before they are loaded, and then the words are others (localStoreCertProvider).
local function check_remote(add, place, group)
  if not (#group.client.rootCaFiles > 0 or #group.client.rootCaData > 0 or group.client.forceTLS) then
    return
  end
  for _, row in ipairs {
    { "server", "certFile", "certData", "only one of certFile or certData properties should be spcified" },
    { "server", "clientCaFiles", "clientCaData", "cannot specify both clientCAFiles and clientCAData properties" },
    { "client", "rootCaFiles", "rootCaData", "cannot specify both rootCAFiles and rootCAData properties" },
  } do
    local section = group[row[1]]
    if #section[row[2]] > 0 and #section[row[3]] > 0 then
      add("file_and_data", ("%s.%s.%s"):format(place, row[1], row[2]), row[4], { name = row[2], other = row[3] })
    end
  end
end

-- time.NewTicker does not take a negative interval, and nobody asks before.
local function check_intervals(add, tls)
  for _, row in ipairs { { "refreshInterval", tls.refreshInterval },
    { "expirationChecks.checkInterval", tls.expirationChecks.checkInterval } } do
    if row[2] < 0 then
      add("negative_interval", row[1], "panic: non-positive interval for NewTicker")
    end
  end
end

--- Checks a `global.tls`.
-- @tparam table tls every field, as of `tcpki.server.decode`
-- @treturn {table,…} of `code`, `place` (under `global.tls`), `says` (the server's words) and what a sentence needs
local function validate(tls)
  local problems = {}
  local function add(code, place, says, values)
    local problem = values or {}
    problem.code, problem.place, problem.says = code, place, says
    problems[#problems + 1] = problem
  end
  check_group(add, "internode", tls.internode)
  check_group(add, "frontend", tls.frontend)
  check_worker(add, tls.systemWorker)
  check_intervals(add, tls)
  for _, name in ipairs(sorted(tls.remoteClusters)) do
    check_remote(add, "remoteClusters." .. name, tls.remoteClusters[name])
  end
  return problems
end

return validate
