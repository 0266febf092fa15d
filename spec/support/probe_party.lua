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
    made.port = made.port or line:match "^ACCEPT .*:(%d+)$"
    -- The two come from two processes, in either order.
    if made.pid and made.port then break end
  end
  assert(made.port, "did not start: " .. command)
  made.address = "127.0.0.1:" .. made.port
  return made
end

function methods:close()
  if self.handle then
    -- The group, of which timeout is the leader: on a busy machine it may not know its child yet, and would leave it.
    os.execute("kill -TERM -" .. self.pid .. " 2>/dev/null")
    self.handle:close()
    self.handle = nil
    if self.directory then os.execute("rm -rf " .. quote(self.directory)) end
  end
end

metatable.__close = methods.close

local function put(directory, name, text)
  assert(tcpki.file.write(directory .. "/" .. name, text))
  return quote(directory .. "/" .. name)
end

local function s_server_command(directory, leaf, client_ca, flags)
  return ("openssl s_server -accept 127.0.0.1:0 -cert %s -key %s %s %s"):format(
    put(directory, "server.pem", leaf.chain:pem()), put(directory, "server.key", leaf.key:pem()),
    client_ca and ("-Verify 3 -verify_return_error -CAfile %s"):format(
      put(directory, "ca.pem", client_ca.certificate:pem())) or "", flags)
end

-- openssl s_server with a certificate of the support's PKI; flags are its own.
function party.s_server(leaf, client_ca, flags)
  local directory = party.directory()
  return start(s_server_command(directory, leaf, client_ca, "-alpn h2 " .. (flags or "")), directory)
end

-- The same without ALPN.
function party.s_server_without_alpn(leaf, client_ca)
  local directory = party.directory()
  return start(s_server_command(directory, leaf, client_ca, ""), directory)
end

-- s_server that sends what a shell program prints, which may look into "$heard" for what came.
local function fed(leaf, client_ca, directory, program)
  local script = ("heard=%s; { %s; } | %s | tee \"$heard\""):format(put(directory, "heard", ""), program,
    s_server_command(directory, leaf, client_ca, "-alpn h2"))
  return start("sh " .. put(directory, "script", script), directory)
end

-- What one HTTP/2 connection is told: a SETTINGS frame, and then of each turn `send` once the client has written
-- `after`.
function party.http2(leaf, client_ca, turns)
  local directory = party.directory()
  local settings = "\0\0\0\4\0\0\0\0\0" .. "\0\0\0\4\1\0\0\0\0" -- ours, and the acknowledgement of theirs
  local lines = { "cat " .. put(directory, "settings", settings) }
  for i, turn in ipairs(turns) do
    lines[#lines + 1] = ("until grep -a -q -e %s \"$heard\"; do sleep 0.02; done; cat %s"):format(quote(turn.after),
      put(directory, "turn" .. i, turn.send))
  end
  return fed(leaf, client_ca, directory, table.concat(lines, "; ") .. "; cat")
end

-- s_server that hangs up (its command q) as soon as the handshake is over.
function party.hangs_up(leaf, client_ca)
  return fed(leaf, client_ca, party.directory(), [[before=0; while sleep 0.02; do
    now=$(grep -a -c "^CIPHER is" "$heard")
    [ "$now" = "$before" ] || printf q
    before=$now
  done]])
end

local odd = [[
use strict; use Fcntl; use Socket; $| = 1;
socket(my $l, PF_INET, SOCK_STREAM, 0) or die;
bind($l, sockaddr_in(0, INADDR_LOOPBACK)) or die;
my $kind = shift;
listen($l, $kind eq "full" ? 0 : 128) or die;
my ($port) = sockaddr_in(getsockname($l));
# The queue of "full" is full: who else wants to connect is not answered.
my @waiting;
for (1 .. ($kind eq "full" ? 8 : 0)) {
  socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
  fcntl($s, F_SETFL, O_NONBLOCK);
  connect($s, sockaddr_in($port, INADDR_LOOPBACK));
  push @waiting, $s;
}
print "ACCEPT 127.0.0.1:$port\n";
if ($kind eq "silent" or $kind eq "full") { sleep 300 }
while (accept(my $c, $l)) {
  if ($kind eq "http") {
    sysread($c, my $hello, 4096);
    syswrite($c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  } elsif ($kind eq "h2c") {
    syswrite($c, "\0\0\0\4\0\0\0\0\0");
    sysread($c, my $hello, 4096);
  } elsif ($kind eq "ssh") {
    syswrite($c, "SSH-2.0-OpenSSH_9.2p1\r\n");
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

-- A server of one kind: silent, full, close, reset, http, h2c, ssh, garbage, drip.
function party.odd(kind)
  return start(("perl -e %s %s"):format(quote(odd), kind))
end

local router = [[
use strict; use IO::Socket::INET; use IO::Select; use Socket; $| = 1; $SIG{CHLD} = "IGNORE";
my ($backend, $name) = @ARGV;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 64) or die;
print "ACCEPT 127.0.0.1:" . $l->sockport . "\n";
while (my $c = $l->accept) {
  next if fork();
  my $hello = "";
  while (length $hello < 5 or length $hello < 5 + unpack("n", substr($hello, 3, 2))) {
    sysread($c, $hello, 16384, length $hello) or exit;
  }
  if (index($hello, $name) < 0) {
    setsockopt($c, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0));
    close $c;
    exit;
  }
  my $b = IO::Socket::INET->new(PeerAddr => $backend) or exit;
  syswrite($b, $hello);
  my $both = IO::Select->new($b, $c);
  while (my @ready = $both->can_read) {
    for my $from (@ready) {
      sysread($from, my $bytes, 16384) or exit;
      syswrite($from == $b ? $c : $b, $bytes);
    }
  }
  exit;
}
]]

-- A balancer that reads the server name of each ClientHello: those that ask for name reach the backend (host:port), the
-- others are reset, as behind a private endpoint of a cloud.
function party.sni_router(backend, name)
  return start(("perl -e %s %s %s"):format(quote(router), quote(backend), quote(name)))
end

-- A server of test/hostile, which means harm of one kind: see there.
function party.hostile(kind, leaf, ca)
  local build = os.getenv "BUILD" or "build"
  local program = build .. "/hostile"
  if not party.hostile_is_built then
    local compile = "%s -std=c11 -D_POSIX_C_SOURCE=200809L -O1 -o %s.new test/hostile/server.c -lssl -lcrypto"
    assert(os.execute((compile .. " && mv %s.new %s"):format(os.getenv "CC" or "cc", program, program, program)))
    party.hostile_is_built = true
  end
  local directory = party.directory()
  return start(("%s %s %s %s %s"):format(program, kind, put(directory, "server.pem", leaf.chain:pem()),
    put(directory, "server.key", leaf.key:pem()), put(directory, "ca.pem", ca.certificate:pem())), directory)
end

-- A port that nobody listens on.
function party.free_port()
  local made = party.odd "silent"
  made:close()
  return made.port
end

return party
