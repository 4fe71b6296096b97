// Pages of a list (AIP-158): a page token is the sort key of the last item that the caller has, so a page
// neither repeats nor skips an item when others come or go in between.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mixln::services::coordinatord {

inline constexpr int32_t kDefaultPage = 100;
inline constexpr int32_t kMaxPage = 1000;

template <typename Item>
struct Page {
  std::vector<Item> items;
  std::string next_token;  // empty on the last page
};

// The page of `items` after `token`, in the order of `key(item)`. `size` 0: kDefaultPage; at most kMaxPage.
template <typename Item, typename Key>
Page<Item> TakePage(std::vector<Item> items, const Key& key, int32_t size, const std::string& token) {
  std::sort(items.begin(), items.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  const auto begin = token.empty()
                         ? items.begin()
                         : std::upper_bound(items.begin(), items.end(), token,
                                            [&](const auto& t, const auto& item) { return t < key(item); });
  const int64_t limit = size <= 0 ? kDefaultPage : std::min(size, kMaxPage);
  const auto end = items.end() - begin > limit ? begin + limit : items.end();
  Page<Item> page{.items = {begin, end}, .next_token = ""};
  if (end != items.end()) page.next_token = key(page.items.back());
  return page;
}

}  // namespace mixln::services::coordinatord
