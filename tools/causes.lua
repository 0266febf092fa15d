-- Prints docs/causes.md: every cause and every warning of the probe, out of their tables.
--
--   lua5.4 tools/causes.lua >docs/causes.md

local causes = require "tcpki.probe.causes"
local warnings = require "tcpki.probe.warnings"

local WIDTH = 110

local lines = {}

local function put(line)
  lines[#lines + 1] = line
end

-- A text, broken into lines; a field is shown as its name.
local function wrap(text, margin)
  text = text:gsub("{([%w_]+)}", function(name) return "‹" .. name:gsub("_", " ") .. "›" end)
  local line = ""
  for word in text:gmatch "%S+" do
    if line ~= "" and utf8.len(line) + 1 + utf8.len(word) > WIDTH then
      put(line)
      line = margin .. word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  put(line)
end

local function paragraph(text)
  wrap(text, "")
  put ""
end

local function item(name, text)
  wrap(("- %s: %s"):format(name, text), "  ")
end

local function sentence(text)
  return text:find "[%.%?!]$" and text or text .. "."
end

paragraph [[# What a probe says, and what to do]]
paragraph [[`probe.run` gives each result a `cause`: one of the words below. They are stable, a part of the
  interface. `stage` is the rung of the ladder on which the cause stands (input, resolve, connect, tls, settings, rpc,
  namespace). `certain` is false where the wire cannot tell, and then `candidates` has what it may be, the likeliest
  first; what it takes to be certain stands with each word. ‹…› is what the diagnosis fills in.]]
paragraph [[The verdict is gRPC core's alone: `ok` and `authenticated` take its own handshake and an RPC that was
  answered through it. A trace, which is a TLS connection of our own, only explains. Most TLS stacks send the same alert
  for several faults, or none: the probe judges the certificate itself first (`result.findings`) and matches what the
  server did to what it found. Where the option `accepted` names the CAs that the server trusts for clients, the
  certificate is also verified against them as Go, OpenSSL and rustls do it (`result.accepted_by`).]]
paragraph [[This page is made of lua/tcpki/probe/causes/ and lua/tcpki/probe/warnings.lua: `lua5.4
  tools/causes.lua >docs/causes.md`.]]

local titles = {
  { "input", "input: our own files and arguments" },
  { "resolve", "resolve" },
  { "connect", "connect" },
  { "tls", "tls: the server, before it judges the client" },
  { "settings", "settings: the server judges the client's certificate" },
  { "rpc", "rpc: the certificate is accepted" },
  { "namespace", "namespace" },
}

for _, title in ipairs(titles) do
  paragraph("## " .. title[2])
  for _, row in ipairs(causes.rows) do
    if row.stage == title[1] then
      paragraph(("### `%s`"):format(row.word))
      paragraph(row.sentence)
      item("do", sentence(row.cure))
      item("certain with", sentence(row.needs))
      item("source", sentence(row.source))
      put ""
    end
  end
end

paragraph "## Warnings beside a success"
paragraph [[`result.warnings` is an array of `{ word =, message =, hint = }`, in this order.]]
for _, row in ipairs(warnings.rows) do
  paragraph(("### warning: `%s`"):format(row.word))
  paragraph(row.message)
  item("do", sentence(row.hint))
  put ""
end

io.write((table.concat(lines, "\n"):gsub("\n+$", "\n")))
