// SPDX-License-Identifier: Apache-2.0
#pragma once

// The answers that all nouns give alike: an object with its ETag, a page of them, nothing left.

#include "api/context.h"
#include "api/error.h"
#include "model/to_wire.h"

namespace cvlan::api {

// RFC 9110 section 8.8.3: opaque; ours is the object's revision.
inline std::string etag_of(store::Revision revision) { return fmt::format("\"{}\"", revision); }

template <class Document>
http::Response tagged_response(int status, const Document& document, store::Revision revision) {
    auto response = json_response(status, document);
    response.headers.push_back({"ETag", etag_of(revision)});
    return response;
}

// `show` makes the wire's form of what the store answered.
template <class Model, class Show>
http::Response object_response(const Call& call, int status, const Result<Model>& object,
                               Show show) {
    if (!object) return error_response(object.error(), call.request.request_id);
    return tagged_response(status, show(*object), object->revision);
}

template <class List, class Model, class Item, class Show>
http::Response page_response(const Call& call, const Result<store::Page<Model>>& page,
                             std::vector<Item> List::*items, Show show) {
    if (!page) return error_response(page.error(), call.request.request_id);
    List list;
    for (const Model& object : page->items) (list.*items).push_back(show(object));
    list.next_page_token = page->next_page_token;
    return json_response(200, list);
}

inline http::Response gone_response(const Call& call, const Result<store::Revision>& gone) {
    if (!gone) return error_response(gone.error(), call.request.request_id);
    return no_content();
}

}  // namespace cvlan::api
