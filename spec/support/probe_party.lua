-- Other parties on free ports of 127.0.0.1: `openssl s_server`, and servers that are no servers.
-- Each ends when it is closed, and by itself after five minutes.

local tcpki = require "tcpki"

local party = {}

local methods = {}
local metatable = { __index = methods }

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end
party.quote = quote

function party.directory()
  local handle = assert(io.popen "mktemp -d")
  local path = handle:read "l"
  handle:close()
  return path
end

-- Runs a command that says `ACCEPT …:PORT` once it listens. The loop drains what else it says
-- (and no filter of the system does it without a buffer: Debian's awk is mawk).
local function start(command, directory)
  local handle = assert(io.popen(([[
    fifo=$(mktemp -u) && mkfifo "$fifo" && exec 3<>"$fifo" && rm "$fifo"
    { timeout 300 %s <&3 2>&1 & echo "PID $!"; wait; } |
      while IFS= read -r line; do
        case $line in "PID "* | "ACCEPT "*:*) printf '%%s\n' "$line" ;; esac
      done
  ]]):format(command)))
  local made = setmetatable({ handle = handle, directory = directory }, metatable)
  for line in handle:lines() do
    made.pid = made.pid or line:match "^PID (%d+)"
    made.port = line:match "^ACCEPT .*:(%d+)$"
    if made.port then break end
  end
  assert(made.port, "did not start: " .. command)
  made.address = "127.0.0.1:" .. made.port
  return made
end

function methods:close()
  if self.handle then
    os.execute("kill " .. self.pid .. " 2>/dev/null")
    self.handle:close()
    self.handle = nil
    if self.directory then os.execute("rm -rf " .. quote(self.directory)) end
  end
end

metatable.__close = methods.close

-- openssl s_server with a certificate of the support's PKI; flags are its own.
function party.s_server(leaf, client_ca, flags)
  local directory = party.directory()
  local function put(name, text)
    assert(tcpki.file.write(directory .. "/" .. name, text))
    return quote(directory .. "/" .. name)
  end
  local command = ("openssl s_server -accept 127.0.0.1:0 -cert %s -key %s -alpn h2 %s %s"):format(
    put("server.pem", leaf.chain:pem()), put("server.key", leaf.key:pem()),
    client_ca and ("-Verify 3 -verify_return_error -CAfile %s"):format(
      put("ca.pem", client_ca.certificate:pem())) or "", flags or "")
  return start(command, directory)
end

local odd = [[
use strict; use Socket; $| = 1;
socket(my $l, PF_INET, SOCK_STREAM, 0) or die;
bind($l, sockaddr_in(0, INADDR_LOOPBACK)) or die;
listen($l, 128) or die;
my ($port) = sockaddr_in(getsockname($l));
print "ACCEPT 127.0.0.1:$port\n";
my $kind = shift;
if ($kind eq "silent") { sleep 300 }
while (accept(my $c, $l)) {
  if ($kind eq "http") {
    sysread($c, my $hello, 4096);
    syswrite($c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  } elsif ($kind eq "h2c") {
    syswrite($c, "\0\0\0\4\0\0\0\0\0");
    sysread($c, my $hello, 4096);
  } elsif ($kind eq "reset") {
    sysread($c, my $hello, 16);
    setsockopt($c, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0));
  } elsif ($kind eq "close") {
    1 while sysread($c, my $hello, 4096) == 4096;
    shutdown($c, 1);
  } elsif ($kind eq "garbage") {
    sysread($c, my $hello, 4096);
    syswrite($c, "\x16\x03\x03\x00\x04\xff\xff\xff\xff" x 8);
  } elsif ($kind eq "drip") {
    if (fork() == 0) {
      syswrite($c, "\x16\x03\x03\x40\x00\x02");
      for (1 .. 3000) { syswrite($c, "\0") or last; select(undef, undef, undef, 0.1) }
      exit;
    }
  }
  close $c;
}
]]

-- A server of one kind: silent, close, reset, http, h2c, garbage, drip.
function party.odd(kind)
  return start(("perl -e %s %s"):format(quote(odd), kind))
end

-- A port that nobody listens on.
function party.free_port()
  local made = party.odd "silent"
  made:close()
  return made.port
end

return party
