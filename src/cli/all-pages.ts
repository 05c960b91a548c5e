interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextPageToken: string;
}

const PAGE_SIZE = 500;

/** Reads a list to its end, page by page. */
export async function allPages<Item>(
  read: (page: { pageSize: number; pageToken: string }) => Promise<Page<Item>>,
): Promise<Item[]> {
  const items: Item[] = [];
  let pageToken = '';
  do {
    const page = await read({ pageSize: PAGE_SIZE, pageToken });
    items.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return items;
}
