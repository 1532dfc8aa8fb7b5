-- What wrk sends and expects: a POST of one body, again and again, each answer compared.
--
--   wrk … -s load.lua URL -- BODY EXPECTED equal|contains
--
-- "########" in the body, where it is there, becomes a number that differs in each request. An answer
-- is right when its status is 200 and it equals, or contains, what EXPECTED holds. At the end comes one
-- line of JSON.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function init(args)
  local body = read(args[1])
  expected = read(args[2])
  whole = args[3] == "equal"
  wrong, right = 0, 0
  local headers = { ["Content-Type"] = "application/json", ["Accept"] = "application/json, */*" }
  local text = wrk.format("POST", nil, headers, body)
  local from, to = text:find("########", 1, true)
  if from then
    head, tail = text:sub(1, from - 1), text:sub(to + 1)
    sent = number * 10000000
  else
    head = text
  end
end

function request()
  if not tail then
    return head
  end
  sent = sent + 1
  return head .. string.format("%08d", sent) .. tail
end

function response(status, headers, body)
  local good = status == 200
  if whole then
    good = good and body == expected
  else
    good = good and body:find(expected, 1, true) ~= nil
  end
  if good then
    right = right + 1
  else
    wrong = wrong + 1
  end
end

function done(summary, latency, requests)
  local right, wrong = 0, 0
  for _, thread in ipairs(threads) do
    right = right + thread:get("right")
    wrong = wrong + thread:get("wrong")
  end
  local e = summary.errors
  print(string.format(
    '{"right": %d, "wrong": %d, "errors": %d, "seconds": %.6f, "p50": %d, "p99": %d}',
    right, wrong, e.connect + e.read + e.write + e.timeout, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
