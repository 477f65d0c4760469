// SPDX-License-Identifier: Apache-2.0
// A header is the same whether or not the client's first bytes stand behind it, every proper part
// of it is waited for, and it is never larger than what came.
#include <cstdint>
#include <cstdlib>

#include "http/proxy_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    using cvlan::http::read_proxy_header;
    const cvlan::ByteView received(bytes, size);
    const auto read = read_proxy_header(received);
    if (!read || !*read) return 0;
    const auto& header = **read;
    if (header.size > size || header.size > cvlan::http::kMostProxyHeader) std::abort();
    const auto alone = read_proxy_header(received.first(header.size));
    if (!alone || !*alone || (*alone)->size != header.size || (*alone)->client != header.client)
        std::abort();
    const auto part = read_proxy_header(received.first(header.size - 1));
    if (!part || *part) std::abort();
    return 0;
}
