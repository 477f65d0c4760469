// SPDX-License-Identifier: Apache-2.0
#include "relay/directory.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace cvlan::relay {

namespace {

struct Seeds {
    std::array<uint64_t, 5> of;
    Seeds() {
        const Bytes random = random_bytes(sizeof of);
        std::memcpy(of.data(), random.data(), sizeof of);
    }
};

// The two halves of a product of 128 bits, folded.
uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

size_t KeyHash::operator()(const Key& key) const noexcept {
    static const Seeds seeds;
    std::array<uint64_t, 4> words{};
    std::memcpy(words.data(), key.bytes().data(), sizeof words);
    return mix(mix(words[0] ^ seeds.of[0], words[1] ^ seeds.of[1]) ^ seeds.of[4],
               mix(words[2] ^ seeds.of[2], words[3] ^ seeds.of[3]));
}

void Place::heard_from(uint64_t session_id) {
    if (!senders.empty() && senders.front() == session_id) return;
    const auto known = std::find(senders.begin(), senders.end(), session_id);
    if (known != senders.end()) return std::iter_swap(senders.begin(), known);
    // In the place of one that others have pushed to the back.
    if (senders.size() < kSenders)
        senders.push_back(session_id);
    else
        senders.back() = session_id;
    std::iter_swap(senders.begin(), senders.end() - 1);
}

uint32_t Tenant::network_number(const std::string& network_id) {
    const auto next = static_cast<uint32_t>(networks.size() + 1);
    const auto [found, is_new] = networks.emplace(network_id, next);
    if (is_new) network_names.push_back(network_id);
    return found->second;
}

}  // namespace cvlan::relay
