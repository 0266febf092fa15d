local expect = require "spec.support.expect"
local go = require "spec.support.go"
local temporary = require "spec.support.temporary"
local tcpki = require "tcpki"
local filters = require "tcpki.cloud.filters"

-- Reads the JSON with the types of the Cloud's command-line tool, and prints what it found there.
local READER = [[
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

type filter struct {
	CommonName             string `json:"commonName"`
	Organization           string `json:"organization"`
	OrganizationalUnit     string `json:"organizationalUnit"`
	SubjectAlternativeName string `json:"subjectAlternativeName"`
}

func main() {
	text, _ := io.ReadAll(os.Stdin)
	var read struct {
		Filters []filter `json:"filters,omitempty"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, f := range read.Filters {
		fmt.Printf("%q %q %q %q\n", f.CommonName, f.Organization, f.OrganizationalUnit, f.SubjectAlternativeName)
	}
	out, _ := json.MarshalIndent(read, "", "    ")
	fmt.Println(string(out))
}
]]

describe("tcpki.cloud.filters", function()
  local directory, ca, leaf

  setup(function()
    directory = temporary.directory()
    ca = assert(tcpki.authority.new { subject = { CN = "Filters CA", O = "Acme" } })
    leaf = assert(ca:issue { usage = "client", subject = {
      { type = "O", value = "Example Code" }, { type = "OU", value = "Ops" }, { type = "OU", value = "Payments" },
      { type = "CN", value = "Worker-7" },
    }, subject_alt_names = { "worker-7.example.com", { type = "email", value = "ops@example.com" },
      { type = "uri", value = "spiffe://example.com/ns/pay" }, { type = "ip", value = "2001:db8::7" },
      { type = "ip", value = "192.0.2.7" } } })
  end)

  teardown(function()
    directory:remove()
  end)

  local function client(fields)
    return assert(ca:issue { usage = "client", subject = fields }).certificate
  end

  describe("as the Cloud validates them", function()
    it("keeps the fields that are set, and takes a blank one for none", function()
      local made = assert(filters.new { { common_name = "a", organization = " \t" }, { organizational_unit = "b" } })
      assert.equal(2, #made)
      assert.same({ common_name = "a" }, made[1])
      assert.same({ organizational_unit = "b" }, made[2])
      assert.equal("tcpki.cloud.filters (2 filters)", tostring(made))
      assert.is_true(filters.is(made))
      assert.is_false(filters.is {})
    end)

    it("refuses a filter with no field", function()
      assert.equal(2, expect.fault("empty_filter", filters.new { { common_name = "a" }, {} }).filter)
      expect.fault("empty_filter", filters.new { { common_name = "  ", organization = "" } })
    end)

    it("refuses the same filter twice, and names both", function()
      local err = expect.fault("duplicate_filter", filters.new {
        { common_name = "a", organization = "b" }, { common_name = "a" },
        { organization = "b", common_name = "a", organizational_unit = "" },
      })
      assert.equal(3, err.filter)
      assert.is_truthy(err.message:find("the same as filter 1", 1, true))
      assert(filters.new { { common_name = "ab", organization = "c" }, { common_name = "a", organization = "bc" } })
    end)

    it("takes 25, and not 26", function()
      local rows = {}
      for i = 1, 25 do
        rows[i] = { common_name = "worker-" .. i }
      end
      assert.equal(25, #assert(filters.new(rows)))
      rows[26] = { common_name = "worker-26" }
      expect.fault("too_many_filters", filters.new(rows))
    end)

    it("takes one * at the beginning or the end, and never alone", function()
      for _, value in ipairs { "*.example.com", "Example Code*", "plain" } do
        assert(filters.new { { common_name = value } })
      end
      for value, words in pairs {
        ["*"] = "alone", ["* "] = "alone",
        [".*example.*"] = "more than one", ["*a*"] = "more than one", ["**"] = "more than one",
        [".example*."] = "middle", ["code.*.com"] = "middle",
      } do
        local err = expect.fault("bad_wildcard", filters.new { { subject_alternative_name = value } })
        assert.is_truthy(err.message:find(words, 1, true), err.message)
        assert.is_truthy(err.message:find("subjectAlternativeName", 1, true))
      end
    end)

    it("throws on what only a program gets wrong", function()
      expect.throws({ "filter 2", "unknown option 'commonName'", "common_name" }, filters.new,
        { { common_name = "a" }, { commonName = "a" } })
      expect.throws("must be string, not integer", filters.new, { { organization = 3 } })
      expect.throws("filter 1 must be table", filters.new, { "CN=a" })
      expect.throws("filters must be table", filters.new, "CN=a")
      expect.throws("text must be string", filters.parse, {})
      expect.throws("leaf must be", filters.new {}.matches, filters.new {}, "leaf")
    end)
  end)

  describe("as JSON", function()
    it("reads what the command-line tool exports", function()
      local read = assert(filters.parse [[{"filters": [
        { "commonName": "a", "organization": "", "organizationalUnit": "", "subjectAlternativeName": "" },
        { "subjectAlternativeName": "*.example.com" } ] }]])
      assert.same({ common_name = "a" }, read[1])
      assert.same({ subject_alternative_name = "*.example.com" }, read[2])
      assert.equal(0, #assert(filters.parse '{ "filters": null }'))
      assert.equal(0, #assert(filters.parse '{ "filters": [] }'))
      assert.equal(0, #assert(filters.parse ' {}'))
    end)

    it("writes the same text each time, in the order of the fields", function()
      local made = assert(filters.new { { subject_alternative_name = "d", organizational_unit = "c",
        organization = "b/\\/\"", common_name = "ä" } })
      assert.equal([[
{
    "filters": [
        {
            "commonName": "ä",
            "organization": "b/\\/\"",
            "organizationalUnit": "c",
            "subjectAlternativeName": "d"
        }
    ]
}
]], made:json())
      assert.equal('{\n    "filters": []\n}\n', assert(filters.new {}):json())
    end)

    it("is read by Go, to the byte, and read from Go", function()
      local program, reason = go.build(directory, READER)
      if not program then
        pending(reason)
        return
      end
      local made = assert(filters.new {
        { common_name = "a b", organization = "Ünïcode, \"Inc.\" \\/ 'x' <&>" },
        { organizational_unit = "\1\127 tab\there" }, { subject_alternative_name = "*.example.com" },
      })
      local found, exported = program(made:json()):match "^(.-\n)({.*)$"
      assert.equal([["a b" "Ünïcode, \"Inc.\" \\/ 'x' <&>" "" ""
"" "" "\x01\x7f tab\there" ""
"" "" "" "*.example.com"
]], found)
      assert.equal(made:json(), assert(filters.parse(exported)):json())
      assert.equal(0, #assert(filters.parse(program '{"filters":[]}')))
    end)

    it("goes to a file and back", function()
      local made = assert(filters.new { { common_name = "a" } })
      local path = directory:path "filters.json"
      assert(made:write(path))
      assert.equal(made:json(), temporary.content(path))
      assert.equal(made:json(), assert(filters.read(path)):json())
      expect.fault("already_exists", made:write(path))
      assert(made:write(path, { overwrite = true }))
      assert.equal("/nowhere/filters.json", expect.fault("not_found", filters.read "/nowhere/filters.json").path)
      local broken = directory:file("broken.json", '{ "filters": [ {')
      assert.equal(broken, expect.fault("bad_filters", filters.read(broken)).path)
    end)

    it("names a field that is unknown, and the right one where it is near", function()
      local err = expect.fault("unknown_field", filters.parse '{"filters":[{"commonName":"a"},{"common_name":"a"}]}')
      assert.equal(2, err.filter)
      assert.is_truthy(err.message:find("'common_name'", 1, true))
      assert.equal("write commonName", err.hint)
      assert.equal("write organizationalUnit",
        expect.fault("unknown_field", filters.parse '{"filters":[{"OrganizationalUnit":"a"}]}').hint)
      assert.is_truthy(expect.fault("unknown_field", filters.parse '{"filters":[{"country":"DE"}]}').hint
        :find("subjectAlternativeName", 1, true))
    end)

    it("has one clear error for what is not filters", function()
      for text, words in pairs {
        [""] = "found the end", ["{]"] = "found ]", ["-----BEGIN CERTIFICATE-----"] = "character 1",
        ["[]"] = "an array", ["null"] = "null",
        ["3"] = "a number", ['"filters"'] = "a string", ['{"filter":[]}'] = 'no "filters"',
        ['{"filters":[],"extra":1}'] = "'extra'", ['{"filters":{"commonName":"a"}}'] = "not an object",
        ['{"filters":"a"}'] = "not a string", ['{"filters":[1]}'] = "filter 1 is a number",
        ['{"filters":[null]}'] = "filter 1 is null", ['{"filters":[["a"]]}'] = "filter 1 is an array",
        ['{"filters":[{"commonName":null}]}'] = "must be a string, not null",
        ['{"filters":[{"commonName":["a"]}]}'] = "must be a string, not an array",
        ['{"filters":[{"commonName":"a"}]'] = "but found",
        ['{"filters":[{"commonName":"a\255"}]}'] = "UTF-8",
        ['{"filters":[]} {}'] = "but found",
      } do
        local err = expect.fault("bad_filters", filters.parse(text))
        assert.is_truthy(err.message:find(words, 1, true), ("%s: %s"):format(text, err.message))
      end
    end)
  end)

  describe("simulated", function()
    local function matches(row, certificate)
      return (filters.new { row }:matches(certificate or leaf))
    end

    it("matches a whole value, without case", function()
      assert.is_true(matches { common_name = "worker-7" })
      assert.is_true(matches { common_name = "WORKER-7" })
      assert.is_false(matches { common_name = "worker-" })
      assert.is_false(matches { common_name = "worker-77" })
      assert.is_true(matches { organization = "example code" })
    end)

    it("lets a * stand for anything, nothing included", function()
      assert.is_true(matches { organization = "Example Code*" })
      assert.is_true(matches { organization = "example*" })
      assert.is_true(matches { organization = "*CODE" })
      assert.is_true(matches { organization = "*example code" })
      assert.is_false(matches { organization = "*Example" })
      assert.is_false(matches { organization = "Code*" })
      assert.is_false(matches { organization = "Example Code X*" })
      -- what a Lua pattern would read otherwise
      assert.is_true(matches({ common_name = "a.%w+-[x]*" }, client { CN = "A.%w+-[x]1" }))
      assert.is_false(matches({ common_name = "a.c*" }, client { CN = "abc" }))
      assert.is_true(matches({ common_name = "*bab" }, client { CN = "babab" }))
    end)

    it("asks all fields of a filter, and one filter of all", function()
      assert.is_true(matches { common_name = "worker-*", organizational_unit = "ops" })
      assert.is_false(matches { common_name = "worker-*", organizational_unit = "sales" })
      local made = filters.new { { common_name = "other" }, { organization = "example code", common_name = "worker-7" },
        { common_name = "*" .. "-7" } }
      local matched, number = made:matches(leaf)
      assert.is_true(matched)
      assert.equal(2, number)
      assert.is_false((filters.new { { common_name = "x" }, { organization = "y" } }:matches(leaf)))
    end)

    it("looks at every value of a field", function()
      assert.is_true(matches { organizational_unit = "ops" })
      assert.is_true(matches { organizational_unit = "pay*" })
      for _, value in ipairs { "worker-7.example.com", "*.example.com", "ops@EXAMPLE.com", "spiffe://example.com/*",
        "2001:db8::7", "192.0.2.*" } do
        assert.is_true(matches { subject_alternative_name = value }, value)
      end
      assert.is_false(matches { subject_alternative_name = "example.com" })
      assert.is_false(matches({ subject_alternative_name = "*a" }, client { CN = "no names" }))
      assert.is_false(matches({ organization = "*a" }, client { CN = "no organization" }))
    end)

    it("counts letters beyond ASCII as they are written", function()
      local certificate = client { CN = "Été" }
      assert.is_true(matches({ common_name = "Été" }, certificate))
      assert.is_false(matches({ common_name = "été" }, certificate))
    end)

    it("lets everybody in where there are no filters", function()
      assert.is_true((filters.new {}:matches(leaf)))
      assert.is_truthy(tostring(filters.new {}:explain(leaf)):find("there are no filters", 1, true))
    end)

    it("takes a certificate, a chain or an issued leaf", function()
      for _, form in ipairs { leaf, leaf.certificate, leaf.chain } do
        assert.is_true(matches({ common_name = "worker-7" }, form))
      end
    end)
  end)

  describe("explained", function()
    it("names the filter that matched", function()
      local why = filters.new { { common_name = "x" }, { common_name = "worker-*" } }:explain(leaf)
      assert.is_true(why.matches)
      assert.equal(2, why.filter)
      assert.equal("O=Example Code, OU=Ops, OU=Payments, CN=Worker-7 is let in: filter 2 matches\n" ..
        "  commonName \"worker-*\" matches", tostring(why))
    end)

    it("names what failed of each filter, and how near it was", function()
      local why = filters.new { { common_name = "worker-8", organization = "Example Code" },
        { organizational_unit = "Payment" }, { subject_alternative_name = "*.example.org" } }:explain(leaf)
      assert.is_false(why.matches)
      assert.is_nil(why.filter)
      local field = why[1].fields[1]
      assert.same({ "common_name", "commonName", "worker-8", false, "Worker-7", 1 },
        { field.field, field.word, field.wanted, field.matches, field.nearest, field.distance })
      assert.is_true(why[1].fields[2].matches)
      assert.same({ "Ops", "Payments" }, why[2].fields[1].had)
      assert.equal("Payments", why[2].fields[1].nearest)
      assert.equal([[
O=Example Code, OU=Ops, OU=Payments, CN=Worker-7 is refused: no filter matches
  filter 1: commonName: wanted "worker-8", the certificate has "Worker-7" (1 character away)
    organization "Example Code" matches
  filter 2: organizationalUnit: wanted "Payment", the nearest of its 2 is "Payments" (1 character
      away)
  filter 3: subjectAlternativeName: wanted "*.example.org", the nearest of its 5 is
      "worker-7.example.com" (3 characters away)]], tostring(why))
    end)

    it("says where the certificate has no such field", function()
      local why = filters.new { { subject_alternative_name = "a" } }:explain(client { CN = "b" })
      assert.is_truthy(tostring(why):find("the certificate has none", 1, true))
    end)

    it("agrees with the verdict, and stays within a terminal", function()
      local alphabet = { "a", "b", "A", "B", "-" }
      math.randomseed(20261121)
      local function word(most)
        local letters = {}
        for i = 1, math.random(most) do
          letters[i] = alphabet[math.random(#alphabet)]
        end
        return table.concat(letters)
      end
      local certificates = {}
      for i = 1, 12 do
        certificates[i] = client { { type = "CN", value = word(4) }, { type = "O", value = word(3) },
          { type = "OU", value = word(2) }, { type = "OU", value = word(2) } }
      end
      local yes, no = 0, 0
      for _ = 1, 200 do
        local function value()
          local star = math.random(3)
          return star == 1 and word(3) .. "*" or star == 2 and "*" .. word(2) or word(3)
        end
        local made = filters.new { { common_name = value(), organization = value() },
          { organizational_unit = value() } }
        for _, certificate in ipairs(made and certificates or {}) do
          local why = made:explain(certificate)
          assert.equal((made:matches(certificate)), why.matches)
          for _, row in ipairs(why) do
            for _, field in ipairs(row.fields) do
              assert.is_true(field.matches or field.distance > 0)
            end
          end
          for line in tostring(why):gmatch "[^\n]+" do
            assert.is_true(#line <= 100, line)
          end
          yes, no = yes + (why.matches and 1 or 0), no + (why.matches and 0 or 1)
        end
      end
      assert.is_true(yes > 100 and no > 100)
    end)

    it("writes no control characters of a certificate", function()
      local why = filters.new { { common_name = "a*" } }:explain(client { CN = "b\27[0m\n" })
      assert.equal(2, select(2, tostring(why):gsub("\n", "%0")) + 1, tostring(why))
      assert.is_nil(tostring(why):find("\27", 1, true))
    end)
  end)

  describe("before a change", function()
    it("says who would be locked out, by what, and nobody else", function()
      local a, b, c = client { CN = "billing-1" }, client { CN = "payments-1" }, client { CN = "stranger" }
      local before = filters.new { { common_name = "billing-*" }, { common_name = "payments-*" } }
      local after = filters.new { { common_name = "payments-*" } }
      local clients = { a, { name = "the payments worker", certificate = b }, c }
      local out = assert(filters.locked_out(before, after, clients))
      assert.equal(1, #out)
      assert.equal("billing-1", out[1].name)
      assert.is_true(out[1].certificate == a)
      assert.is_false(out[1].explanation.matches)
      assert.same({}, assert(after:locks_out({ b }, before)))
      out = assert(after:locks_out(clients))
      assert.equal("billing-1 stranger", out[1].name .. " " .. out[2].name)
      assert.same({}, assert(filters.locked_out(before, nil, clients)))
      out = assert(filters.locked_out(nil, after, { { name = "mine", chain = tcpki.chain.new { c } } }))
      assert.equal("mine", out[1].name)
    end)

    it("throws on clients that are none", function()
      local made = filters.new {}
      expect.throws("client 1", made.locks_out, made, { "payments.pem" })
      expect.throws({ "client 1", "no certificate" }, made.locks_out, made, { { name = "x" } })
      expect.throws({ "client 2", "unknown option 'pem'" }, made.locks_out, made, { leaf, { pem = "x" } })
      expect.throws("before must be", filters.locked_out, {}, nil, {})
    end)
  end)
end)
