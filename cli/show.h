// SPDX-License-Identifier: Apache-2.0
#pragma once

// Objects of any kind, printed by the table of resources. As YAML and JSON an object has the form
// that apply takes: its kind, its fields, and names where the API has ids.

#include "cli/catalogue.h"
#include "cli/cli.h"

namespace cvlan::cli {

struct Found {
    const client::Resource* resource = nullptr;
    client::Value object;
};

struct Layout {
    std::vector<const client::Resource*> kinds;  // in this order; several: rows are KIND/NAME
    bool with_tenant = false;                    // a column for it
    bool is_one = false;      // one object, which was asked for: its fields, a line each
    bool leaves_out = false;  // kinds of which there is nothing
};

void print_found(const Args& args, Io& io, const std::vector<Found>& found, const Layout& layout,
                 Catalogue& catalogue);
// "lastSeenAt" as "last seen at", parted by `between`.
std::string words_of(std::string_view name, char between);

}  // namespace cvlan::cli
