// SPDX-License-Identifier: Apache-2.0
// One message of NETLINK_XFRM: two bytes of its type, then what follows the netlink header. What is
// read is set again and must read the same.
#include <linux/xfrm.h>

#include "xfrm/encode.h"
#include "xfrm/event.h"
#include "xfrm/parse.h"
#include "xfrm/statistics.h"

namespace cvlan::xfrm {
namespace {

// What was only observed is not set.
void round_trip(State state) {
    state.usage = {};
    state.offload_ifindex = 0;
    state.replay.sent = state.replay.received = 0;
    StateKeys keys;
    constexpr uint32_t kMaxKeyBits = 4096;
    const auto make = [](const std::optional<Algorithm>& algorithm, Key& key) {
        if (algorithm && algorithm->key_bits <= kMaxKeyBits)
            key = Key(Bytes(algorithm->key_bits / 8));
    };
    make(state.aead, keys.aead);
    make(state.crypt, keys.crypt);
    make(state.auth, keys.auth);
    if (state.crypt) state.crypt->icv_bits = 0;
    auto message = encode_state(XFRM_MSG_NEWSA, state, keys);
    if (!message) return;  // a window or a key that no kernel has
    auto again = parse_state(message->payload());
    if (message->error() || !again || !(*again == state)) __builtin_trap();
}

void round_trip(Policy policy) {
    policy.usage = {};
    auto message = encode_policy(XFRM_MSG_NEWPOLICY, policy);
    if (!message || message->error()) return;  // more templates than a message holds
    auto again = parse_policy(message->payload());
    if (!again || !(*again == policy)) __builtin_trap();
}

}  // namespace
}  // namespace cvlan::xfrm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using namespace cvlan::xfrm;
    if (size < 2) return 0;
    uint16_t type = 0;
    std::memcpy(&type, bytes, sizeof type);
    const cvlan::ByteView payload(bytes + 2, size - 2);
    if (type == XFRM_MSG_NEWSADINFO) (void)parse_state_counts(payload);
    if (type == XFRM_MSG_NEWSPDINFO) (void)parse_policy_counts(payload);
    if (type == 0) (void)parse_statistics(cvlan::as_text(payload));
    auto event = parse_event({type, 0, payload});
    if (!event || !*event) return 0;
    if (auto* set = std::get_if<StateSet>(&**event)) round_trip(set->state);
    if (auto* expired = std::get_if<StateExpired>(&**event)) round_trip(expired->state);
    if (auto* set = std::get_if<PolicySet>(&**event)) round_trip(set->policy);
    if (auto* acquire = std::get_if<Acquire>(&**event)) round_trip(acquire->policy);
    return 0;
}
