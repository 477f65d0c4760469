// SPDX-License-Identifier: Apache-2.0
#pragma once

// JSON text to the generated types and back. The parser refuses what a strict reader must: depth
// above 32, a key twice, a NUL, invalid UTF-8, a BOM, trailing bytes, more values than
// `max_values`. Errors of syntax read "json: offset 17: …"; errors of content carry the field's RFC
// 6901 pointer.

#include <string>
#include <string_view>

#include "base/result.h"

namespace cvlan::model {

enum class Unknown {
    Refuse,  // requests: a field we do not know is a mistake of the sender
    Ignore,  // documents that a newer program may have written
};

struct JsonLimits {
    Unknown unknown = Unknown::Refuse;
    size_t max_values = 100000;
};
inline constexpr JsonLimits kRequest{Unknown::Refuse, 100000};
inline constexpr JsonLimits kDocument{Unknown::Ignore, 4000000};

// T is a type of model/wire.h or model/local.h, found by its own decode_into().
template <class T>
Result<T> decode(std::string_view text, const JsonLimits& limits = kRequest) {
    T value;
    if (auto read = decode_into(text, limits, value); !read) return failed(read.error());
    return value;
}

}  // namespace cvlan::model
