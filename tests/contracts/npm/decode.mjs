// Decodes payloads with npm's vietnam-qr-pay: one payload a line in, one JSON object a line out.
import { createInterface } from 'node:readline'
import peer from 'vietnam-qr-pay'

for await (const line of createInterface({ input: process.stdin })) {
  const code = new peer.QRPay(line)
  const data = code.additionalData
  const seen = {
    is_valid: code.isValid,
    version: code.version,
    point_of_initiation: code.initMethod,
    guid: code.provider.guid,
    bin: code.consumer.bankBin,
    account: code.consumer.bankNumber,
    service: code.provider.service,
    merchant_category: code.category,
    currency: code.currency,
    amount: code.amount,
    tip_indicator: code.tipAndFeeType,
    tip_fixed: code.tipAndFeeAmount,
    tip_percent: code.tipAndFeePercent,
    country: code.nation,
    merchant_name: code.merchant.name,
    merchant_city: code.city,
    postal_code: code.zipCode,
    bill_number: data.billNumber,
    mobile: data.mobileNumber,
    store_label: data.store,
    loyalty_number: data.loyaltyNumber,
    reference_label: data.reference,
    customer_label: data.customerLabel,
    terminal_label: data.terminal,
    purpose: data.purpose,
    consumer_request: data.dataRequest,
    crc: code.crc,
  }
  const known = Object.entries(seen).filter(([, value]) => value !== undefined && value !== '')
  console.log(JSON.stringify(Object.fromEntries(known)))
}
