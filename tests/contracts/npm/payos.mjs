// Drives npm's @payos/node: one call a line in ({"call": name, "args": [...]}), one outcome a line
// out ({"data": …} or {"error": name, "message": …, "status": …, "code": …}). Keys come by argv.
import { createInterface } from 'node:readline'
import { PayOS } from '@payos/node'

const client = new PayOS({ ...JSON.parse(process.argv[2]), maxRetries: 0, timeout: 10_000 })
const calls = {
  create: (order) => client.paymentRequests.create(order),
  get: (id) => client.paymentRequests.get(id),
  cancel: (id, reason) => client.paymentRequests.cancel(id, reason),
  confirm: (url) => client.webhooks.confirm(url),
  verify: (body) => client.webhooks.verify(JSON.parse(body)),
}

for await (const line of createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(line)
  try {
    console.log(JSON.stringify({ data: await calls[call](...args) }))
  } catch (problem) {
    const { message, status, code } = problem
    console.log(JSON.stringify({ error: problem.constructor.name, message, status, code }))
  }
}
