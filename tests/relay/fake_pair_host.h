// SPDX-License-Identifier: Apache-2.0
#pragma once

// A kernel that forwards nothing, and remembers what it was told.

#include <algorithm>
#include <string>
#include <vector>

#include "relay/pair_host.h"

namespace cvlan::relay::test {

class FakePairHost final : public PairHost {
public:
    Result<void> put_pair(const ForwardedPair& pair,
                          const std::optional<ForwardedPair>& instead_of) override {
        if (is_broken) return fail(Code::Unavailable, "the kernel says no");
        if (instead_of) std::erase(held, *instead_of);
        for (const auto& other : held)
            for (const Endpoint& place : {pair.first, pair.second})
                if (other.id != pair.id && other.own == pair.own && other.port == pair.port &&
                    (other.first == place || other.second == place))
                    return fail(Code::Conflict, "its place is another's");
        held.push_back(pair);
        ++puts;
        return {};
    }
    Result<void> refresh(const ForwardedPair& pair) override {
        ++refreshes;
        if (is_broken) return fail(Code::Unavailable, "the kernel says no");
        if (std::find(held.begin(), held.end(), pair) == held.end()) held.push_back(pair);
        return {};
    }
    Result<void> remove_pair(const ForwardedPair& pair) override {
        std::erase(held, pair);
        return {};
    }
    Result<Traffic> traffic() override { return Traffic{7, 700}; }
    Result<std::vector<PairCount>> pairs() override {
        std::vector<PairCount> all;
        for (const auto& pair : held) all.push_back({pair, 0, 0});
        return all;
    }

    Result<void> look() override { return {}; }

    std::vector<ForwardedPair> held;
    int puts = 0;
    int refreshes = 0;
    bool is_broken = false;
};

}  // namespace cvlan::relay::test
