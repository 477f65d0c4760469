// SPDX-License-Identifier: Apache-2.0
#pragma once

// The verdicts of tests/api/authorisation_test.cc, by hand: never from the routes that they judge.

#include <array>
#include <span>

#include "tests/api/support/authorisation_world.h"

namespace cvlan::api {

inline constexpr int Ok = 1;  // the row's `good`
using Line = std::array<int, kAskers>;

// Over the ids of what is the MEMBER's, of another of that tenant, of another tenant, of nothing.
struct ById {
    Line own, sibling, foreign, missing;
};

struct FlatRow {
    std::string_view route;  // method and pattern
    int good;                // the status where it is allowed
    Line verdicts;
    Text body = nullptr;
};

struct IdRow {
    std::string_view route;
    int good;
    const ById& verdicts;
    Text own, sibling, foreign;
    Text body = nullptr;
};

std::span<const FlatRow> flat_rows();
std::span<const IdRow> id_rows();

}  // namespace cvlan::api
