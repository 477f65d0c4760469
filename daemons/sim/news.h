// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a node learns from an answer to its poll. All nodes of a network get the same delta, byte
// for byte: it is read once for all of them. Signatures are not checked; an agent does that.

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace cvlan::sim {

struct News {
    struct Peer {
        std::string node_id;
        std::vector<std::string> endpoints;
    };
    std::string since;  // "<epoch>.<revision>", what to ask for next
    bool is_full = false;
    std::vector<Peer> peers{};  // of a delta
};

class NewsReader {
public:
    Result<std::shared_ptr<const News>> read(const std::string& body);

private:
    std::unordered_map<std::string, std::shared_ptr<const News>> known_;  // by body
    std::deque<std::string> order_;
};

}  // namespace cvlan::sim
