--- One run at a time over files that several could change at once: cron and a person, two machines on one share.
--
--     local held <close>, err = tcpki.lock.directory("pki", "renew payments")
--     if not held then error(err) end    -- busy: another run holds the lock: process 4711 on build-7 since …
--
-- A lock is a file beside what it guards, held with flock(2): the end of a process, even by a kill, releases it, and a
-- file that a killed process left behind holds nobody up. A released lock leaves no file. It guards against other runs
-- of tcpki, not against programs that do not ask for it.
--
-- A lock is released by `lock:release()`, by the end of its scope where it is a `<close>` variable, and when it is
-- collected: keep it in a variable.
-- @module tcpki.lock

local core = require "tcpki.core"
local options = require "tcpki.options"

local lock = {}

local of_directory = { permission_denied = true, not_found = true, no_space = true }

-- A file that could not be made: at fault is the directory, and the caller knows no other name.
local function take(name, path, purpose)
  local held, err = core.lock.take(name, purpose or "")
  if not held and of_directory[err.code] then
    local there <close> = io.open(name)
    err.path = there and err.path or path
  end
  return held, err
end

--- Locks a directory, by a file `.tcpki-lock` in it.
-- @tparam string path of the directory
-- @tparam[opt] string purpose what for, in the message of others
-- @treturn[1] lock
-- @treturn[2] nil
-- @treturn[2] fault `busy` at once where another run holds it, or this one does already; its message says who and since
-- when. `not_found`, `permission_denied`, `no_space`, …
function lock.directory(path, purpose)
  options.expect("tcpki.lock.directory", "path", path, "string")
  options.expect("tcpki.lock.directory", "purpose", purpose, "string|nil")
  return take(path .. "/.tcpki-lock", path, purpose)
end

--- Locks one file, by another beside it with `.lock` behind its name.
-- @tparam string path of the file, which need not exist
-- @tparam[opt] string purpose what for, in the message of others
-- @treturn[1] lock
-- @treturn[2] nil
-- @treturn[2] fault as of `directory`
function lock.file(path, purpose)
  options.expect("tcpki.lock.file", "path", path, "string")
  options.expect("tcpki.lock.file", "purpose", purpose, "string|nil")
  return take(path .. ".lock", path, purpose)
end

return lock
