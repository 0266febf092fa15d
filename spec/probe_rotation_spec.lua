local tcpki = require "tcpki"
local probe = require "tcpki.probe"
local rotation = require "tcpki.probe.rotation"
local together = require "tcpki.probe.together"
local pki = require "spec.support.probe_pki"
local party = require "spec.support.probe_party"
local server = require "spec.support.server"

local repeats = tonumber(os.getenv "TCPKI_REPEATS") or 20

local function bundle(...)
  return assert(tcpki.bundle.new { ... })
end

local states = {
  before = bundle(pki.client_ca.certificate), overlap = bundle(pki.client_ca.certificate, pki.other_ca.certificate),
  after = bundle(pki.other_ca.certificate),
}

-- `old` is of the client CA, `new` of the other one.
local function rotated(where, step, more)
  local all = {
    address = where, server_ca = pki.server_ca.certificate, step = step, old = pki.good, new = pki.stranger,
    timeout = 60,
  }
  for name, value in pairs(more or {}) do all[name] = value end
  return probe.rotation(all)
end

describe("a rotation", function()
  local frontend

  setup(function()
    frontend = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = states.before, namespaces = { "payments" },
    })
  end)

  teardown(function() frontend:close() end)

  -- What each step finds in each state; "as wanted" or the word.
  local table_of_states = {
    { state = "before", before = "ok", make_room = "ok", overlap = "rotation_not_loaded",
      roll_over = "rotation_not_loaded", remove = "rotation_not_loaded", after = "rotation_not_loaded" },
    { state = "overlap", before = "rotation_not_loaded", make_room = "rotation_not_loaded", overlap = "ok",
      roll_over = "ok", remove = "rotation_not_loaded", after = "rotation_not_loaded" },
    { state = "after", before = "client_ca_unknown", make_room = "client_ca_unknown", overlap = "client_ca_unknown",
      roll_over = "client_ca_unknown", remove = "ok", after = "ok" },
  }

  it("is where a step wants it, or is not, for each step and each state", function()
    for _, row in ipairs(table_of_states) do
      assert(frontend:reload { client_ca = states[row.state] })
      for step in pairs(rotation.steps) do
        local made = rotated(frontend:address(), step, { namespace = "payments" })
        assert.equal(row[step], made.cause, ("%s in the state %s: %s"):format(step, row.state, tostring(made)))
        assert.equal(row[step] == "ok", made.ok)
        assert.equal(row.state == "after" and "refused" or "accepted", made.old.seen)
        assert.equal(row.state == "before" and "refused" or "accepted", made.new.seen)
        for _, side in ipairs { "old", "new" } do
          assert.equal(made[side].seen == made[side].wanted, made[side].as_wanted)
          assert.equal(made[side].seen == "accepted", made[side].result.authenticated)
        end
        assert.equal(1, made.tries)
      end
    end
  end)

  it("says the same 20 times of 20", function()
    assert(frontend:reload { client_ca = states.before })
    for _ = 1, repeats do
      local made = rotated(frontend:address(), "overlap")
      assert.equal("rotation_not_loaded", made.cause, tostring(made))
      assert.matches('After the step "overlap" the server still refuses the new certificate.', made.message, 1, true)
      assert.matches("refreshInterval", made.hint, 1, true)
      assert.matches("slots", made.hint, 1, true)
    end
  end)

  it("waits until it is so, and no longer", function()
    assert(frontend:reload { client_ca = states.before })
    local made
    together.run {
      function() made = rotated(frontend:address(), "overlap", { wait = 300 }) end,
      function()
        together.sleep(0.6)
        assert(frontend:reload { client_ca = states.overlap })
      end,
    }
    assert.is_true(made.ok, tostring(made))
    assert.is_true(made.tries > 1)
    assert.is_true(made.waited >= 0.6 and made.waited < 200)
  end)

  it("waits no longer than it may", function()
    assert(frontend:reload { client_ca = states.overlap })
    local made = rotated(frontend:address(), "remove", { wait = 0.5 })
    assert.equal("rotation_not_loaded", made.cause)
    assert.matches("still accepts the old certificate", made.message, 1, true)
    assert.is_true(made.tries > 1)
    assert.is_true(made.waited >= 0.5)
    assert.matches("looked %d+ times", tostring(made))
  end)

  it("does not wait where waiting cannot help", function()
    assert(frontend:reload { client_ca = states.before })
    local expired = assert(pki.client_ca:issue {
      common_name = "late", usage = "client", not_before = os.time() - 9 * pki.day, not_after = os.time() - pki.day,
    })
    local made = rotated(frontend:address(), "overlap", { new = expired, wait = 300 })
    assert.equal("client_expired", made.cause, tostring(made))
    assert.matches("^Of the new certificate: The certificate CN=late expired on ", made.message)
    made = rotated(frontend:address(), "overlap", {
      new = { certificate = pki.stranger.chain, key = pki.good.key }, wait = 300,
    })
    assert.equal("key_mismatch", made.cause)
    assert.matches("^Of the new certificate: ", made.message)
    assert.equal("unclear", made.new.seen)
  end)

  it("names a server that cannot be reached, and not the rotation", function()
    local made = rotated("127.0.0.1:" .. party.free_port(), "overlap")
    assert.equal("refused", made.cause)
    assert.equal("connect", made.stage)
    assert.equal("unclear", made.old.seen)
  end)

  it("finds a server that lets in whoever comes, at any step", function()
    local open <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, require_client_certificate = false,
    })
    for step in pairs(rotation.steps) do
      assert.equal("ok_not_asked", rotated(open:address(), step).cause)
    end
    -- and leaves it be where the user says so
    assert.is_true(rotated(open:address(), "overlap", { control = false }).ok)
    assert.equal("rotation_not_loaded", rotated(open:address(), "after", { control = false }).cause)
  end)

  it("names the one backend that has not loaded it", function()
    local late <close> = assert(probe.frontend {
      certificate = pki.server.chain, key = pki.server.key, client_ca = states.before,
    })
    assert(frontend:reload { client_ca = states.overlap })
    local places = { addresses = { frontend:address(), late:address() } }
    local made = rotated("localhost", "overlap", places)
    assert.equal("rotation_not_loaded", made.cause, tostring(made))
    assert.equal("accepted", made.old.seen)
    assert.equal("mixed", made.new.seen)
    assert.matches("still refuses the new certificate at " .. late:address(), made.message, 1, true)
    assert(frontend:reload { client_ca = states.after })
    made = rotated("localhost", "after", places)
    assert.matches("still accepts the old certificate at " .. late:address(), made.message, 1, true)
    assert(late:reload { client_ca = states.after })
    assert.is_true(rotated("localhost", "after", places).ok)
  end)

  it("takes a step of a plan, and pairs from files", function()
    assert(frontend:reload { client_ca = states.before })
    local plan = assert(require "tcpki.cloud".rotation.plan {
      current = states.before, next = pki.other_ca.certificate, clients = { pki.good },
    })
    local directory = party.directory()
    local function put(name, leaf)
      assert(leaf:write(directory .. "/" .. name .. ".key", directory .. "/" .. name .. ".pem"))
      return { certificate_path = directory .. "/" .. name .. ".pem", key_path = directory .. "/" .. name .. ".key" }
    end
    local files = { old = put("old", pki.good), new = put("new", pki.stranger) }
    -- The step says what the server is to trust: then a refusal has one reason only.
    local early = rotated(frontend:address(), plan:next(), files)
    assert.equal("rotation_not_loaded", early.cause)
    assert.is_true(early.certain, tostring(early))
    assert.matches("still refuses the new certificate", early.message, 1, true)
    assert(frontend:reload { client_ca = states.after })
    early = rotated(frontend:address(), plan:next(), files)
    assert.matches("refuses the old certificate already", early.message, 1, true)
    assert.matches("Accept the CA of the old certificate again", early.hint, 1, true)
    for _, step in ipairs(plan) do
      if step.action == "overlap" then assert(frontend:reload { client_ca = states.overlap }) end
      if step.action == "remove" then assert(frontend:reload { client_ca = states.after }) end
      local made = rotated(frontend:address(), step, files)
      assert.is_true(made.ok, tostring(made))
      assert.equal(step.action, made.step)
    end
    os.execute("rm -rf " .. party.quote(directory))
  end)

  it("throws on a mistake in the program", function()
    local function mistake(more, text)
      assert.error_matches(function() rotated("a:1", "overlap", more) end, text)
    end
    mistake({ step = "sideways" }, "'step' must be before, make_room, overlap, roll_over, remove or after")
    mistake({ step = {} }, "'step' must be")
    mistake({ old = { cert = "x" } }, "probe.rotation: old: unknown option 'cert'")
    mistake({ old = { key = "x" } }, "probe.rotation: old: the option 'certificate' is missing")
    mistake({ old = { certificate = "x", certificate_path = "y" } }, "not both")
    mistake({ certificate = "x" }, "unknown option 'certificate'")
    mistake({ wait = -1 }, "'wait' must be")
    assert.error_matches(function() probe.rotation { address = "a:1", step = "overlap", old = pki.good } end,
      "the option 'new' is missing")
    assert.error_matches(function() rotated(frontend:address(), "overlap", { new = pki.good }) end,
      "'old' and 'new' are one certificate")
  end)
end)

-- temporalio/temporal local_store_cert_provider.go: of each file the server compares only the first certificate.
describe("a rotation of the Temporal server #server", function()
  local temporal, authority, new

  setup(function()
    temporal = assert(server.start())
    authority = assert(tcpki.authority.new { subject = { CN = "Client CA B" }, days = 30 })
    new = assert(authority:issue { common_name = "worker", usage = "client", days = 10 })
  end)

  teardown(function()
    if temporal then temporal:remove() end
  end)

  local function check(step, wait)
    return probe.rotation {
      address = temporal.address, server_ca = temporal.server_ca, old = temporal.client, new = new, step = step,
      wait = wait, namespace = "temporal-system",
    }
  end

  local function trust(first, second)
    temporal:trust(1, first)
    temporal:trust(2, second)
  end

  it("is found not to have loaded a file in which the new CA comes second", function()
    local a, b = temporal.authority.certificate:pem(), authority.certificate:pem()
    local made = check("before", 60)
    assert.equal("ok", made.cause, tostring(made))
    trust(a .. b, a .. b)
    -- twice its refreshInterval, which is a second
    made = check("overlap", 3)
    assert.equal("rotation_not_loaded", made.cause, tostring(made))
    assert.matches("still refuses the new certificate", made.message, 1, true)
    -- the wire does not tell whether an intermediate is missing: the user may know
    assert.equal("rotation_not_loaded", (made.candidates or { made.cause })[1])
    assert.is_true(made.tries > 1)
    -- new CA first: loaded; then the old one taken away from behind it: not loaded
    trust(b .. a, b .. a)
    assert.equal("ok", check("overlap", 60).cause)
    trust(b, b)
    made = check("remove", 3)
    assert.equal("rotation_not_loaded", made.cause, tostring(made))
    assert.matches("still accepts the old certificate", made.message, 1, true)
  end)

  it("is rotated in slots, a CA in each, and each step is waited for", function()
    local a, b = temporal.authority.certificate:pem(), authority.certificate:pem()
    trust(a, a)
    local made = check("before", 60)
    assert.equal("ok", made.cause, tostring(made))
    temporal:trust(2, b)
    assert.equal("ok", check("overlap", 60).cause)
    temporal:trust(1, b)
    assert.equal("ok", check("after", 60).cause)
    made = check "overlap"
    assert.equal("client_ca_unknown", made.cause, tostring(made))
    assert.matches("Accept the CA of the old certificate again", made.hint, 1, true)
  end)
end)
