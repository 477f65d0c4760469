// SPDX-License-Identifier: Apache-2.0
#include "netlink/attr_reader.h"

namespace cvlan::netlink {

void AttrReader::read(std::string& out) {
    const std::string_view text = as_text(payload_);
    const size_t end = text.find('\0');
    if (end != std::string_view::npos && end + 1 != text.size()) {
        fault("text with a NUL inside");
        return;
    }
    out = text.substr(0, end);
}

bool AttrReader::wrong_size(size_t size) {
    if (error_) return false;
    error_ = std::make_unique<Error>(Error{
        Code::Malformed,
        fmt::format("attribute {} has {} bytes where {} belong", type_, payload_.size(), size)});
    return false;
}

bool AttrReader::fault(std::string_view what) {
    if (error_) return false;
    error_ = std::make_unique<Error>(
        Error{Code::Malformed, fmt::format("attribute {}: {}", type_, what)});
    return false;
}

}  // namespace cvlan::netlink
