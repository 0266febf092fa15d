--- A script with one probe as a whole process, beside programs that do as much or less.

local party = require "party"
local lua, build = arg[1], arg[2]
local to = party.start(lua)

local compare = require "compare"
local meter = require "meter"
local report = require "report"

local AIM, REFUSED_AIM = 1.6, 1.1
local ROUNDS = tonumber(os.getenv "BENCH_ROUNDS") or 31
local place = to.address .. ":" .. to.port
local ca, certificate, key = to.files.ca, to.files.certificate, to.files.key

local function installed(program)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(program))
end

local function program(name)
  return {
    build .. "/" .. name, to.address, to.port, to.server_name, to.namespace, ca, certificate, key,
  }
end

local function optional(name, words, why)
  if installed(words[1]) then return { name = name, words = words } end
  return { name = name, skipped = why or words[1] .. " is not installed" }
end

local grpcurl = os.getenv "BENCH_GRPCURL" or ""
local peers = {
  { name = "raw libssl, in C", words = program "handshake" },
  {
    name = "script with probe.run",
    words = { lua, "bench/script.lua", place, to.server_name, to.namespace, ca, certificate, key },
  },
  {
    name = "script whose certificate is refused", status = 1,
    words = { lua, "bench/script.lua", place, to.server_name, to.namespace, ca, to.files.strange_certificate,
      to.files.strange_key },
  },
  { name = "script that only loads tcpki.probe", words = { lua, "bench/script.lua" } },
  { name = "bare gRPC core, in C", words = program "bare" },
  optional("openssl s_client", {
    "openssl", "s_client", "-connect", place, "-servername", to.server_name, "-alpn", "h2",
    "-CAfile", ca, "-cert", certificate, "-key", key, "-verify_return_error", "-brief",
  }),
  optional("curl (HTTP/2)", {
    "curl", "-s", "-o", "/dev/null", "--http2", "--cacert", ca, "--cert", certificate, "--key",
    key, "--resolve", ("%s:%s:%s"):format(to.server_name, to.port, to.address),
    ("https://%s:%s/"):format(to.server_name, to.port),
  }),
  optional("grpcurl", {
    grpcurl ~= "" and grpcurl or "grpcurl", "-cacert", ca, "-cert", certificate, "-key", key,
    "-servername", to.server_name, "-import-path", "bench", "-proto", "frontend.proto", place,
    "temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo",
  }, os.getenv "BENCH_GRPCURL_SKIPPED"),
}

-- Twice as a rehearsal: the files are in memory then.
for _, peer in ipairs(peers) do
  for _ = 1, peer.words and 2 or 0 do
    local status = meter.run(peer.words)
    if status ~= (peer.status or 0) then
      peer.words, peer.skipped = nil, ("it failed (exit %d)"):format(status)
    end
    if not peer.words then break end
  end
  peer.cpu, peer.wall = {}, {}
end
assert(peers[1].words and peers[2].words and peers[3].words, "no probe to compare")

for round = 1, ROUNDS do
  for step = 1, #peers do
    local i = (round + step) % #peers + 1
    if round % 2 == 0 then i = #peers + 1 - i end
    local peer = peers[i]
    if peer.words then
      local status, cpu, wall = meter.run(peer.words)
      assert(status == (peer.status or 0), peer.name)
      peer.cpu[round], peer.wall[round] = cpu, wall
    end
  end
end
to.close()

local rows = {}
for i, peer in ipairs(peers) do
  if peer.skipped then
    rows[i] = { peer.name, "skipped: " .. peer.skipped }
  else
    local cpu, wall = {}, {}
    for round = 1, ROUNDS do
      cpu[round] = peer.cpu[round] / peers[1].cpu[round]
      wall[round] = peer.wall[round] / peers[1].wall[round]
    end
    rows[i] = {
      peer.name, report.milliseconds(compare.quantile(peer.cpu, 0.5)),
      report.milliseconds(compare.quantile(peer.wall, 0.5)),
    }
    if i > 1 then
      local summary = compare.summary(wall)
      rows[i][4], rows[i][5] = report.ratio(compare.summary(cpu)), report.ratio(summary)
      if i == 2 then
        rows[i][6], rows[i][7] = ("<= %.1f"):format(AIM), report.verdict(summary.median <= AIM)
      end
    end
  end
end

report.print("One probe as a whole process, and over that of raw libssl; less is better", {
  "", "CPU", "wall", "CPU of raw", "wall of raw", "aim", "",
}, rows)

local function over(values, base)
  local ratios = {}
  for round = 1, ROUNDS do ratios[round] = values[round] / base[round] end
  return compare.summary(ratios)
end

local accepted, refused = peers[2], peers[3]
local wall = over(refused.wall, accepted.wall)
report.print("A script whose certificate is refused, over one whose certificate is accepted; less is better", {
  "", "CPU of accepted", "wall of accepted", "aim", "",
}, {
  { refused.name, report.ratio(over(refused.cpu, accepted.cpu)), report.ratio(wall), ("<= %.1f"):format(REFUSED_AIM),
    report.verdict(wall.median <= REFUSED_AIM) },
})
