// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a listing is asked for, and a page of it.

#include <optional>
#include <string>
#include <vector>

#include "model/accounts.h"
#include "model/objects.h"
#include "store/key.h"

namespace cvlan::store {

// What has no name is ordered by CreatedAt alone.
enum class OrderBy { CreatedAt, Name };

// A listing knows the fields that its noun has.
struct Filter {
    Scope tenant{};
    std::optional<std::string> name{};        // exactly this one
    std::optional<std::string> network_id{};  // of nodes and tokens
    std::optional<bool> suspended{};
    std::optional<bool> disabled{};  // of accounts
    std::optional<bool> enabled{};   // of webhooks
    std::optional<model::NodeState> node_state{};
    std::optional<model::TokenState> token_state{};
    std::optional<model::TokenRole> role{};
    std::optional<model::TenantRole> account_role{};
    std::optional<std::string> tag{};  // its name
    std::optional<std::string> owner{};
    OrderBy order_by = OrderBy::CreatedAt;
    bool descending = false;
    int page_size = 100;       // 1 to 1000
    std::string page_token{};  // empty: the first page; of the same order
};

template <class T>
struct Page {
    std::vector<T> items;
    std::string next_page_token;
};

}  // namespace cvlan::store
