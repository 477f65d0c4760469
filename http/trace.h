// SPDX-License-Identifier: Apache-2.0
#pragma once

// W3C Trace Context: the id by which one request is followed over programs.

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace cvlan::http {

// The trace id of a traceparent header, "00-<32 hex>-<16 hex>-<2 hex>"; nullopt for any other form.
// A version to come may say more behind it.
std::optional<std::string> parse_traceparent(std::string_view header);

// That of the one traceparent among `headers`; where there is none, or several, the digits of
// `request_id`.
std::string trace_id_of(const Headers& headers, std::string_view request_id);

}  // namespace cvlan::http
