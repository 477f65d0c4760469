// SPDX-License-Identifier: Apache-2.0
#include "store/sql_rows.h"

#include <sstream>

namespace cvlan::store {

model::Membership membership_row(const Statement& row, int first_column) {
    const int c = first_column;
    model::Membership membership;
    membership.network_id = row.text(c);
    membership.node_id = row.text(c + 1);
    membership.wireguard_key = row.text(c + 2);
    membership.ipv4 = row.address(c + 3);
    membership.ipv6 = row.address(c + 4);
    membership.listen_port = static_cast<uint16_t>(row.integer(c + 5));
    for (const std::string& word : split_words(row.text(c + 6)))
        if (auto endpoint = Endpoint::parse(word)) membership.endpoints.push_back(*endpoint);
    membership.revision = row.integer(c + 7);
    return membership;
}

std::string endpoints_text(const std::vector<Endpoint>& endpoints) {
    std::string text;
    for (const Endpoint& endpoint : endpoints) {
        if (!text.empty()) text += ' ';
        text += endpoint.text();
    }
    return text;
}

std::vector<std::string> split_words(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(std::move(word));
    return words;
}

std::string wireguard_key_hash(const std::string& key) { return hex(sha256(as_bytes(key))); }

}  // namespace cvlan::store
