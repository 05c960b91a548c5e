import { InMemoryUnitOfWork } from '../../src/database/in-memory-unit-of-work.js';
import { secretStoreContract } from '../../src/secret-store/secret-store.contract.js';
import { TemporaryStore } from './temporary-store.js';

secretStoreContract('SqlSecretStore', async () => {
  const temporary = await TemporaryStore.open();
  const { unitOfWork, committed } = temporary.store;
  return { unitOfWork, committed, close: () => temporary.remove() };
});

secretStoreContract('InMemorySecretStore', () => {
  const unitOfWork = new InMemoryUnitOfWork();
  return Promise.resolve({ unitOfWork, committed: unitOfWork.committed, close: () => Promise.resolve() });
});
