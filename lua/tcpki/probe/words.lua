--- The names of numbers: gRPC statuses, TLS alerts, namespace states, serving states.
-- @module tcpki.probe.words

local words = {}

local function named(prefix, names)
  return setmetatable(names, {
    __index = function(_, number) return prefix .. tostring(number) end,
  })
end

--- gRPC status codes (grpc/grpc doc/statuscodes.md).
words.status = named("STATUS_", {
  [0] = "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
  "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
  "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
})

--- TLS alerts (RFC 8446, 6; RFC 5246, 7.2; the IANA registry).
words.alert = named("alert_", {
  [0] = "close_notify", [10] = "unexpected_message", [20] = "bad_record_mac",
  [21] = "decryption_failed", [22] = "record_overflow", [30] = "decompression_failure",
  [40] = "handshake_failure", [41] = "no_certificate", [42] = "bad_certificate",
  [43] = "unsupported_certificate", [44] = "certificate_revoked", [45] = "certificate_expired",
  [46] = "certificate_unknown", [47] = "illegal_parameter", [48] = "unknown_ca",
  [49] = "access_denied", [50] = "decode_error", [51] = "decrypt_error",
  [60] = "export_restriction", [70] = "protocol_version", [71] = "insufficient_security",
  [80] = "internal_error", [86] = "inappropriate_fallback", [90] = "user_canceled",
  [100] = "no_renegotiation", [109] = "missing_extension", [110] = "unsupported_extension",
  [111] = "certificate_unobtainable", [112] = "unrecognized_name",
  [113] = "bad_certificate_status_response", [114] = "bad_certificate_hash_value",
  [115] = "unknown_psk_identity", [116] = "certificate_required",
  [120] = "no_application_protocol", [121] = "ech_required",
})

--- temporal.api.enums.v1.NamespaceState
words.namespace_state = named("STATE_", {
  [0] = "UNSPECIFIED", "REGISTERED", "DEPRECATED", "DELETED",
})

--- grpc.health.v1.HealthCheckResponse.ServingStatus
words.health = named("HEALTH_", {
  [0] = "UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN",
})

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("\\%02X"):format(byte:byte()) end))
end

--- What somebody else chose, for a line on a terminal: white space becomes a blank, and control characters, and what
-- is no UTF-8, their numbers.
-- @tparam string text
-- @treturn string
function words.printable(text)
  text = text:gsub("[\t-\r]", " "):gsub("[\0-\31\127]", hex):gsub("\xC2[\x80-\x9F]", hex)
  return utf8.len(text) and text or (text:gsub("[\x80-\xFF]", hex))
end

--- A sentence with its {fields} filled, each printable; `?` for one that is not known.
-- @tparam string sentence
-- @tparam table fields
-- @treturn string
function words.fill(sentence, fields)
  return (sentence:gsub("{([%w_]+)}", function(name)
    local value = fields[name]
    return value ~= nil and words.printable(tostring(value)) or "?"
  end))
end

return words
