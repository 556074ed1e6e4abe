// Drives npm's standardwebhooks: one delivery a line in ({"secret", "body", "headers"}), one outcome
// a line out ({"data": …} or {"error": name, "message": …}).
import { createInterface } from 'node:readline'
import { Webhook } from 'standardwebhooks'

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, body, headers } = JSON.parse(line)
  try {
    console.log(JSON.stringify({ data: new Webhook(secret).verify(body, headers) }))
  } catch (problem) {
    console.log(JSON.stringify({ error: problem.constructor.name, message: problem.message }))
  }
}
