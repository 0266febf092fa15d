--- What is made of each note of the scanner, by the words of src/pki/pem.h.
-- @module tcpki.pem.rules

local LOST = "OpenSSL, Go, rustls and gRPC skip the block in silence"

local rules = {}

--- What lint says of a note: severity, message, who stumbles over it, what to do.
--
-- The severity is that of a text which a Temporal client is to read: an error stops some client or, worse, makes it
-- lose a block in silence; a warning stops one of the less common ones; an info stops none. Source: measured readers.
rules.rows = {
  nul = { "warning", "there is a NUL in the text between the blocks",
    "gRPC and readers of files: the text ends there for them, in silence", "remove it" },
  control_z = { "info", "there is a Ctrl-Z in the text between the blocks" },
  control = { "warning", "there are control characters in the text between the blocks", "nobody, but it may be binary",
    "check that no DER stands there" },
  bare_base64 = { "warning", "base64 stands outside of any block", "every reader passes over it",
    "if it is an object, put its BEGIN and END lines around it" },
  orphan_end = { "error", "an END line has no BEGIN line", "every reader passes over what stood before it",
    "copy the text again, whole" },
  like_armour = { "error", "a line looks like armour and is not", "every reader passes over the block in silence",
    "armour is five dashes, BEGIN or END, the label in capitals, five dashes" },
  begin_indented = { "error", "blanks stand before the BEGIN line", LOST, "remove them" },
  begin_prefixed = { "error", "something stands before BEGIN on its line", LOST,
    "give the BEGIN line a line of its own" },
  begin_after_cr = { "error", "a CR without its LF stands before the BEGIN line", LOST,
    "convert the line ends to LF" },
  begin_unclosed = { "error", "the BEGIN line lacks its closing dashes", "every reader passes over the block",
    "copy the text again, whole" },
  begin_label = { "error", "the label of the BEGIN line is unusable", "every reader", "copy the text again, whole" },
  begin_blanks = { "info", "blanks stand after the BEGIN line" },
  begin_tabs = { "error", "a tab stands after the BEGIN line", "the rustls-based SDKs refuse the whole text",
    "remove it" },
  begin_trailed = { "error", "the BEGIN line goes on after its dashes", "every reader but some Java ones",
    "restore the line ends" },
  headers_unended = { "error", "the headers of the block do not end with an empty line", "every reader",
    "copy the text again, whole" },
  line_crlf = { "info", "lines end with CR LF" },
  line_cr = { "error", "lines end with CR alone", "OpenSSL, Go and gRPC", "convert the line ends: tr '\\r' '\\n'" },
  line_crcrlf = { "error", "lines end with CR CR LF", "Go, in silence",
    "convert the line ends; the text was converted to CR LF twice" },
  blank_first = { "warning", "there is an empty line after the BEGIN line",
    "OpenSSL and gRPC, where the lines are not all of 64 columns", "remove it" },
  blank_inside = { "error", "there is a blank line inside the block", "OpenSSL and gRPC", "remove it" },
  blank_last = { "error", "there is a blank line before the END line", "OpenSSL and gRPC", "remove it" },
  leading_blanks = { "warning", "lines inside the block are indented", "the Java SDK (Netty)", "remove the blanks" },
  inner_blanks = { "warning", "there are blanks within the lines of the block", "the Java SDK (Netty)",
    "remove the blanks; if they were plus signs, copy the text again" },
  trailing_spaces = { "warning", "lines inside the block end with spaces", "the Java SDK (Netty)",
    "remove the blanks" },
  trailing_tabs = { "warning", "lines inside the block end with tabs", "the Java SDK (Netty)", "remove the blanks" },
  bad_character = { "error", "there is a character that is not base64", "every reader", "copy the text again, whole" },
  after_padding = { "error", "base64 goes on after its padding", "every reader", "copy the text again, whole" },
  bad_padding = { "error", "base64 is cut off or badly padded", "every reader", "copy the text again, whole" },
  stray_bits = { "warning", "base64 ends with stray bits", "Python's cryptography", "export the object again" },
  empty_body = { "error", "the block is empty", "every reader", "copy the text again, whole" },
  end_missing = { "error", "the END line is missing", "every reader", "copy the text again, whole" },
  end_indented = { "error", "blanks stand before the END line", "OpenSSL, Go and gRPC", "remove them" },
  end_prefixed = { "error", "something stands before END on its line", "every reader",
    "give the END line a line of its own" },
  end_mismatch = { "error", "the END line does not match its BEGIN line", "every reader",
    "copy the text again, whole" },
  end_blanks = { "info", "blanks stand after the END line" },
  end_trailed = { "error", "the END line goes on after its dashes", "OpenSSL, Go and gRPC",
    "give the END line a line of its own" },
  end_glued = { "error", "the next block begins on the END line", "OpenSSL and Go read neither block; rustls loses one",
    "put a newline between the blocks: the first file lacks its final one" },
  end_unterminated = { "info", "the last line has no line end: what is appended will stand on it" },
  der_trailing = { "error", "bytes follow the object inside the block",
    "Go, gRPC, Java's own reader, and OpenSSL for the leaf", "export the object again" },
}

-- A body that cannot be read makes more notes than one.
local unreadable = { "bad_content", "bad_character", "after_padding", "bad_padding", "leading_blanks", "inner_blanks",
  "trailing_spaces", "trailing_tabs", "empty_body" }
local unreadable_blanks = { "bad_content", "leading_blanks", "inner_blanks", "trailing_spaces", "trailing_tabs" }

--- What follows from a note, and is not worth a finding of its own, in the same part of the text.
rules.hides = {
  der = { "control", "nul", "bare_base64" },
  like_armour = { "control", "bare_base64" },
  orphan_end = { "bare_base64", "like_armour" },
  begin_unclosed = { "begin_label", "end_mismatch", "end_missing", "wrong_label", table.unpack(unreadable) },
  begin_label = { "end_mismatch", "wrong_label", table.unpack(unreadable) },
  begin_trailed = unreadable,
  headers_unended = unreadable,
  line_cr = { "blank_first", "blank_inside", "blank_last", "begin_after_cr" },
  mixed_line_ends = { "line_crlf" },
  trailing_spaces = { "begin_blanks", "end_blanks" },
  trailing_tabs = { "begin_blanks", "end_blanks" },
  blank_inside = { "blank_first", "blank_last" },
  bad_character = unreadable_blanks,
  after_padding = unreadable_blanks,
  bad_padding = unreadable_blanks,
  empty_body = { "bad_content", "blank_first", "blank_last" },
  end_missing = unreadable,
  end_glued = { "end_trailed", "end_blanks" },
  der_trailing = { "bad_content" },
}

--- The same on the line of the note.
rules.hides_here = {
  end_prefixed = { "bad_character", "after_padding", "trailing_spaces", "trailing_tabs", "bad_content" },
}

--- The same in the block behind.
rules.hides_next = {
  end_glued = { "begin_prefixed" },
  line_cr = { "begin_after_cr" },
}

local function set(words)
  local members = {}
  for word in words:gmatch "%S+" do
    members[word] = true
  end
  return members
end

--- Notes that no reader minds: a text that has only these is good as it is.
rules.harmless = set [[
  text nul control_z control non_ascii wide_blank zero_width smart_dash begin_blanks headers line_crlf line_lf uneven
  end_blanks end_unterminated
]]

--- Damage that canonical armour cures, because the content is whole.
rules.curable = set [[
  byte_order_mark begin_indented begin_prefixed begin_after_cr begin_tabs begin_trailed line_cr line_crcrlf blank_first
  blank_inside blank_last leading_blanks inner_blanks trailing_spaces trailing_tabs end_indented end_prefixed
  end_trailed end_glued
]]

return rules
