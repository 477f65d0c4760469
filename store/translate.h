// SPDX-License-Identifier: Apache-2.0
#pragma once

// What PostgreSQL reads otherwise than SQLite does. Only store includes it.

#include <string>
#include <string_view>

namespace cvlan::store {

// Placeholders: `?` and `?1` become `$1`, outside quotes.
std::string postgres_placeholders(std::string_view sql);

// A migration: types, and what follows a table. Text is compared by its bytes, as in SQLite.
std::string postgres_schema(std::string_view script);

}  // namespace cvlan::store
