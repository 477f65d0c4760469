// SPDX-License-Identifier: Apache-2.0
#pragma once

// The messages by which two nodes try a path: a STUN Binding request and its answer, proved by a
// key that only the two nodes have (RFC 8489; stun/README.md). Pure.
//
//   request: USERNAME (the sender's WireGuard public key in base64), our own attribute 0xC0CA
//   (where
//            the sender may be reached, if told), MESSAGE-INTEGRITY-SHA256, FINGERPRINT
//   success: XOR-MAPPED-ADDRESS (where the request came from), MESSAGE-INTEGRITY-SHA256,
//   FINGERPRINT
//
// The key: HMAC-SHA256 of "cvlan path check v1" ("cvlan ipsec path check v1" between the ports of
// IKE, so that WireGuard's is no path for it while a network has both) and both public keys, the
// lower one first, under the X25519 secret of the two. It is one for both directions; a request
// that comes back to its sender is none of a peer, and an answer is no request.

#include <span>
#include <vector>

#include "base/secret.h"
#include "kernel-wg/keys.h"
#include "stun/builder.h"
#include "stun/message.h"

namespace cvlan::reach {

using CheckKey = Secret<32>;
enum class CheckedFor { Wireguard, Ipsec };
Result<CheckKey> check_key(const wg::PrivateKey& mine, const wg::PublicKey& theirs,
                           CheckedFor what = CheckedFor::Wireguard);

constexpr uint16_t kPlacesAttribute = 0xC0CA;
constexpr size_t kMostPlaces = 8;

// The transactions of one process: 32 random bits and the token. The integrity is the proof, so
// they need not be unpredictable.
class Transactions {
public:
    Transactions();
    stun::TransactionId of(uint64_t token) const;
    std::optional<uint64_t> token_of(const stun::TransactionId& transaction) const;

private:
    std::array<uint8_t, 4> prefix_{};
};

struct CheckRequest {
    stun::TransactionId transaction{};
    wg::PublicKey sender{};
    std::span<const Endpoint> places{};  // at most kMostPlaces are told
};
// In `buffer`; with it as large as stun::kMostMessage it always fits.
Result<ByteView> write_request(std::span<uint8_t> buffer, const CheckRequest& request,
                               const CheckKey& key);
// No larger than the request was.
Result<ByteView> write_answer(std::span<uint8_t> buffer, const stun::Message& request,
                              const Endpoint& from, const CheckKey& key);

// Who says that it sent this request. Nothing: it is no path check.
std::optional<wg::PublicKey> sender_of(const stun::Message& request);
// The places that an authentic request tells of, from its datagram.
std::vector<Endpoint> places_in(ByteView datagram);

}  // namespace cvlan::reach
