// SPDX-License-Identifier: Apache-2.0
#pragma once

// States and policies for tests, with keys that everybody knows.

#include "xfrm/types.h"

namespace cvlan::tests {

inline xfrm::Key key_of_bits(uint32_t bits) {
    Bytes bytes(bits / 8);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i + 1);
    return xfrm::Key(bytes);
}

inline xfrm::StateKeys keys_for(const xfrm::State& state) {
    xfrm::StateKeys keys;
    if (state.aead) keys.aead = key_of_bits(state.aead->key_bits);
    if (state.crypt) keys.crypt = key_of_bits(state.crypt->key_bits);
    if (state.auth) keys.auth = key_of_bits(state.auth->key_bits);
    return keys;
}

inline xfrm::Algorithm aes_256_gcm() { return {"rfc4106(gcm(aes))", 256 + 32, 128}; }

// A tunnel's state as charon would set it, for packets of either family.
inline xfrm::State tunnel_state(std::string_view source, std::string_view destination, uint32_t spi,
                                uint32_t if_id) {
    xfrm::State state;
    state.id = {.destination = *Address::parse(destination), .spi = spi};
    state.source = *Address::parse(source);
    state.reqid = 7;
    state.if_id = if_id;
    state.aead = aes_256_gcm();
    state.replay.window = 32;
    return state;
}

// For all packets of a family on an interface, by any state between the two.
inline xfrm::Policy tunnel_policy(xfrm::Direction direction, std::string_view source,
                                  std::string_view destination, uint32_t if_id,
                                  std::string_view packets = "0.0.0.0/0") {
    xfrm::Policy policy;
    policy.selector = {.source = *Prefix::parse(packets), .destination = *Prefix::parse(packets)};
    policy.direction = direction;
    policy.if_id = if_id;
    policy.templates = {{.source = *Address::parse(source),
                         .destination = *Address::parse(destination),
                         .reqid = 7}};
    return policy;
}

}  // namespace cvlan::tests
