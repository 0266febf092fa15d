--- What the answers to the RPCs say: the certificate was let in, or something in front of the server answered for it.
-- @module tcpki.probe.judge.answers
-- @local

local refusal = require "tcpki.probe.judge.refusal"
local words = require "tcpki.probe.words"

local answers = {}

-- ---- a status of the peer ----

local status_words = {
  [4] = "silent_rpc", [5] = "rpc_failed", [7] = "permission_denied", [8] = "resource_exhausted",
  [12] = "unimplemented", [14] = "unavailable", [16] = "unauthenticated",
}

-- The name of the namespace whose own endpoint of Temporal Cloud is called; nil elsewhere.
local function namespace_of_endpoint(context)
  for _, name in ipairs { context.server_name or "", context.host or "" } do
    local namespace = name:lower():match "^([%w-]+%.[%w-]+)%.tmprl%.cloud$"
    if namespace and not namespace:find "%.region$" then return namespace end
  end
end

local both = { "filter_mismatch", "permission_denied" }

-- At the endpoint of a namespace TLS lets in its own CAs only, and what is left to refuse is its filters. Elsewhere it
-- may as well be the name of the namespace that is wrong. GetSystemInfo is denied by nobody but Temporal Cloud.
local function of_denial(context, method)
  local own = namespace_of_endpoint(context)
  local asked = context.namespace and context.namespace:lower()
  if own and (method == "GetSystemInfo" or asked == own) then
    return "filter_mismatch", { namespace = own }
  elseif method == "GetSystemInfo" then
    return "filter_mismatch", { certain = false, candidates = both, namespace = context.namespace or "of its CA" }
  end
  return "permission_denied", { certain = own ~= nil and asked ~= nil and asked ~= own,
    candidates = { "permission_denied", "filter_mismatch" } }
end

local function is_for_api_keys(context, message)
  local host = context.host or ""
  return host:lower():find "%.api%.temporal%.io$" ~= nil or message:find "^Jwt is " ~= nil
end

local function of_answer(context, answer, method, stage)
  local word, about = status_words[answer.code] or "rpc_failed", {}
  if method == "DescribeNamespace" and answer.code == 5 then
    word = "namespace_not_found"
  elseif word == "permission_denied" then
    word, about = of_denial(context, method)
  elseif word == "unauthenticated" and is_for_api_keys(context, answer.message) then
    word = "api_key_endpoint"
  end
  local detail = answer.message ~= "" and answer.message or words.status[answer.code]
  if answer.code == 7 and (answer.detail or "") ~= "" then -- the reason
    detail = ("%s: %s"):format(detail:gsub("%.$", ""), answer.detail)
  end
  about.stage, about.method, about.detail = stage, method, detail
  about.status, about.seconds = words.status[answer.code], answer.seconds
  about.cure = method == "Health/Check" and answer.code == 5 and "Check the name of the service in the option health"
    or "Look up the status in the server's documentation"
  if about.certain ~= false then about.candidates = nil end
  return word, about
end

-- ---- HTTP in the place of gRPC ----

-- The statuses of those who stand in front: grpc/grpc doc/http-grpc-status-mapping.md and RFC 9110, 15.
local proxy_statuses = {
  [401] = true, [403] = true, [407] = true, [421] = true, [429] = true, [500] = true, [502] = true, [503] = true,
  [504] = true,
}

-- A page for people, as one line.
local function text_of(body)
  local text = body:gsub("<head>.-</head>", ""):gsub("<[^>]*>", " "):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  return #text > 120 and text:sub(1, 117) .. "..." or text
end

local function of_http_400(context, trace, page)
  local is_told = page:find "[Cc]ertificate" ~= nil
  local evidence = ("The server answered HTTP 400%s."):format(is_told and ": " .. page or " over HTTP/2")
  local word, about = refusal.judge(context, trace, nil, evidence)
  about.stage = "settings"
  if word == "client_refused" then word = "http_400_certificate" end
  if not is_told then about.certain = false end
  return word, about
end

--- The cause of an answer in HTTP.
-- @tparam table context
-- @tparam ?table trace
-- @tparam integer status
-- @tparam ?string body
-- @treturn string word
-- @treturn table
function answers.of_http(context, trace, status, body)
  local page = text_of(body or "")
  local asked = trace == nil or trace.certificate_requested
  if status == 400 and asked and (page == "" or page:find "[Cc]ertificate") then
    return of_http_400(context, trace, page)
  end
  local detail = page ~= "" and (", %q"):format(page) or ""
  if proxy_statuses[status] then
    return "proxy_refused", { stage = "settings", http = status, detail = detail }
  end
  return "not_grpc", { stage = "settings", detail = ("it answered HTTP status: %d%s"):format(status, detail) }
end

-- ---- a status that our own library made, on a connection that stood ----

local function of_lost_answer(context, answer, method, stage, trace)
  if answer.code == 4 then
    return "silent_rpc", { stage = stage, method = method, seconds = answer.seconds }
  end
  local status = answer.message:match "[Rr]eceived http2 header with status: (%d+)"
  if status then
    local http = trace and trace.http
    return answers.of_http(context, trace, tonumber(status), http and http.status == tonumber(status) and http.body)
  elseif answer.message:find "content%-type" then
    return "not_grpc", { stage = stage, detail = answer.message }
  end
  return "rpc_failed", { stage = stage, method = method, certain = false,
    status = words.status[answer.code],
    detail = answer.message ~= "" and answer.message or "the connection was lost",
    cure = "Try again; look into the log of the server, and of what stands in front of it: this status is our own "
      .. "library's, for want of an answer" }
end

local function of_call(context, answer, method, stage, trace)
  if answer.damaged then
    return "not_grpc", { stage = stage, detail = method .. " was answered with another message" }
  elseif answer.answered then
    return of_answer(context, answer, method, stage)
  end
  return of_lost_answer(context, answer, method, stage, trace)
end

local function is_good(answer)
  return answer.code == 0 and not answer.damaged
end

--- The cause of what was answered, where the connection stood.
-- @tparam table context
-- @tparam table seen an attempt of `tcpki.probe.ladder`
-- @treturn string word
-- @treturn table
function answers.judge(context, seen)
  local system, described, health, trace = seen.system, seen.described, seen.health, seen.trace
  if not is_good(system) then return of_call(context, system, "GetSystemInfo", "rpc", trace) end
  if described and not is_good(described) then
    return of_call(context, described, "DescribeNamespace", "namespace", trace)
  end
  if health and not is_good(health) then return of_call(context, health, "Health/Check", "rpc", trace) end
  if health and health.health ~= 1 then
    return "unavailable", { method = "Health/Check", detail = words.health[health.health] }
  end
  return "ok", { stage = described and "namespace" or "rpc" }
end

return answers
