--- Tables for people.

local report = {}

--- Operations per second.
function report.rate(seconds)
  local rate = 1 / seconds
  return rate >= 1e5 and ("%.0f k"):format(rate / 1e3) or ("%.0f"):format(rate)
end

function report.milliseconds(seconds)
  return ("%.2f ms"):format(seconds * 1e3)
end

--- A median and where eight of ten rounds were.
function report.ratio(ratio)
  return ("%.2f (%.2f-%.2f)"):format(ratio.median, ratio.low, ratio.high)
end

function report.verdict(reached)
  return reached and "ok" or "MISSED"
end

function report.skipped(result)
  return result.skipped and "skipped: " .. result.skipped
end

function report.print(title, head, rows)
  local widths = {}
  local lines = { head, table.unpack(rows) }
  for _, row in ipairs(lines) do
    for i, cell in ipairs(row) do
      local last = row[i + 1] == nil
      if not last then widths[i] = math.max(widths[i] or 0, utf8.len(cell)) end
    end
  end
  print("\n" .. title .. "\n")
  for _, row in ipairs(lines) do
    local cells = {}
    for i, cell in ipairs(row) do
      local pad = (" "):rep((widths[i] or 0) - utf8.len(cell))
      cells[i] = i == 1 and cell .. pad or pad .. cell
    end
    local line = ("  " .. table.concat(cells, "  ")):gsub("%s+$", "")
    print(line)
  end
  io.stdout:flush()
end

return report
